"""Syntax tree to text: the canonical text that is stored, a readable one for terminals, and LaTeX.

Terms come highest total degree first, then in the order of their symbols; factors in the order of their symbols:
alphabetical in the canonical text, the field's usual one (b*h*n**2*d_h) in the readable ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from tfcost.formula.tree import Call, Node, Number, Power, Product, Sum, Symbol, children, exact

Rank = Callable[[str], int]

_USUAL = ("L", "b", "E", "h", "h_kv", "k", "c", "n", "m", "w", "g", "d", "f", "d_h", "V", "B_M", "B_N", "M")
_USUAL_RANK = {name: rank for rank, name in enumerate(_USUAL)}


def alphabetical(name: str) -> int:
    """The rank of the canonical text: none, so names decide."""
    return 0


def usual(name: str) -> int:
    """The rank of the field's usual order; unknown symbols come last."""
    return _USUAL_RANK.get(name, len(_USUAL))


@dataclass(frozen=True, slots=True)
class Style:
    """How one notation writes symbols, products, quotients, powers, calls and groups; `rank` orders the symbols."""

    rank: Rank
    symbol: Callable[[str], str]
    product: Callable[[list[str]], str]
    quotient: Callable[[str, str], str]
    power: Callable[[str, int | Fraction], str]
    call: Callable[[str, list[str]], str]
    group: Callable[[str], str]
    bar: bool = False  # a quotient is written with a bar, which groups what is above and below it


@dataclass(frozen=True, slots=True, order=True)
class _Piece:
    """A factor whose base is already written; pieces sort by rank, then name, then highest exponent first."""

    rank: int
    text: str
    descending: Fraction
    atomic: bool

    def written(self, style: Style, alone: bool) -> str:
        """The piece with the absolute value of its exponent, in brackets where needed; `alone`: nothing beside it."""
        exponent = abs(self.descending)
        if exponent == 1:
            return self.text if self.atomic or alone else style.group(self.text)
        return style.power(self.text if self.atomic else style.group(self.text), exact(exponent))


@dataclass(frozen=True, slots=True, order=True)
class _Term:
    """A written term; terms sort by highest degree, then by their pieces."""

    descending: Fraction
    pieces: tuple[_Piece, ...]
    text: str


def render(node: Node, style: Style) -> str:
    """The text of `node` in `style`."""
    match node:
        case Symbol(name):
            return style.symbol(name)
        case Sum(terms):
            return _signed([term.text for term in sorted(_term(term, style) for term in terms)])
        case Call(function, arguments):
            written = [_term(argument, style) for argument in arguments]
            if function in ("Min", "Max"):
                written.sort()
            return style.call(function, [argument.text for argument in written])
        case _:
            return _term(node, style).text


def degree(node: Node) -> Fraction:
    """The total degree of `node` in its symbols, a function counting as much as its argument of highest degree."""
    match node:
        case Number():
            return Fraction(0)
        case Symbol():
            return Fraction(1)
        case Product(factors):
            return sum(map(degree, factors), Fraction(0))
        case Power(base, exponent):
            return degree(base) * exponent
        case _:
            return max(map(degree, children(node)))


def _signed(terms: list[str]) -> str:
    """The terms joined by their signs."""
    text = terms[0]
    for term in terms[1:]:
        text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return text


def _term(node: Node, style: Style) -> _Term:
    coefficient, pieces = Fraction(1), []
    for factor in node.factors if isinstance(node, Product) else (node,):
        if isinstance(factor, Number):
            coefficient = Fraction(factor.value)
        else:
            pieces.append(_piece(factor, style))
    pieces.sort()
    return _Term(-degree(node), tuple(pieces), _quotient(coefficient, pieces, style))


def _piece(factor: Node, style: Style) -> _Piece:
    base, exponent = (factor.base, factor.exponent) if isinstance(factor, Power) else (factor, 1)
    rank = style.rank(base.name) if isinstance(base, Symbol) else len(_USUAL) + 1
    text = render(base, style)
    return _Piece(rank, text, -Fraction(exponent), isinstance(base, Symbol | Call) or text.isdigit())


def _quotient(coefficient: Fraction, pieces: list[_Piece], style: Style) -> str:
    above = [piece for piece in pieces if piece.descending < 0]
    below = [piece for piece in pieces if piece.descending > 0]
    divided = bool(below) or coefficient.denominator != 1
    top = _joined(abs(coefficient.numerator), above, style, alone=style.bar if divided else coefficient > 0)
    sign = "-" if coefficient < 0 else ""
    if not divided:
        return sign + top
    bottom = _joined(coefficient.denominator, below, style, alone=style.bar)
    several = len(below) + (coefficient.denominator != 1) > 1
    return sign + style.quotient(top, style.group(bottom) if several and not style.bar else bottom)


def _joined(number: int, pieces: list[_Piece], style: Style, alone: bool) -> str:
    """The factors side by side, a 1 left out; `alone`: a single one needs no brackets."""
    if number == 1 and len(pieces) == 1:
        return pieces[0].written(style, alone)
    written = [piece.written(style, alone=False) for piece in pieces]
    return style.product(written if number == 1 and written else [str(number), *written])
