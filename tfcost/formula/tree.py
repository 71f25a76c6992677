"""The syntax tree of a formula: immutable nodes and the constructors that build them.

Subtraction is a sum with a factor -1, division a power -1. The constructors flatten and fold constants; they do not
collect like terms. They raise ArithmeticError for 1/0 and for powers too large to be meant.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

FUNCTIONS = {"Min": (1, None), "Max": (1, None), "ceiling": (1, 1), "floor": (1, 1), "Mod": (2, 2)}
"""Function name -> fewest and most arguments (None: any number)."""

MAX_DEPTH = 200
MAX_BITS = 10_000  # about 3,000 digits, which Python still prints


@dataclass(frozen=True, slots=True)
class Number:
    """An exact constant."""

    value: int | Fraction


@dataclass(frozen=True, slots=True)
class Symbol:
    """A named size."""

    name: str


@dataclass(frozen=True, slots=True)
class Sum:
    """At least two terms."""

    terms: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Product:
    """At least two factors; a constant, if there is one, comes first."""

    factors: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Power:
    """A base to a constant exponent that is neither 0 nor 1."""

    base: "Node"
    exponent: int | Fraction


@dataclass(frozen=True, slots=True)
class Call:
    """One of `FUNCTIONS` of its arguments."""

    function: str
    arguments: "tuple[Node, ...]"


Node = Number | Symbol | Sum | Product | Power | Call

ZERO = Number(0)
ONE = Number(1)


def exact(value: int | Fraction) -> int | Fraction:
    """The same value, as an int where it is whole."""
    return value.numerator if value.denominator == 1 else value


def whole_power(base: int | Fraction, exponent: int) -> int | Fraction:
    """`base ** exponent`, exact; OverflowError if the result would have more than `MAX_BITS` bits."""
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if bits * abs(exponent) > MAX_BITS:
        raise OverflowError(f"the power {exponent} is too large")
    if exponent >= 0:
        return base**exponent
    return exact(1 / Fraction(base) ** -exponent)


def add(terms: Iterable[Node]) -> Node:
    """The sum of `terms`: nested sums flattened, constants added up and put last."""
    constant: int | Fraction = 0
    kept: list[Node] = []
    for term in terms:
        for part in term.terms if isinstance(term, Sum) else (term,):
            if isinstance(part, Number):
                constant += part.value
            else:
                kept.append(part)
    if constant:
        kept.append(Number(exact(constant)))
    if not kept:
        return ZERO
    return kept[0] if len(kept) == 1 else Sum(tuple(kept))


def multiply(factors: Iterable[Node]) -> Node:
    """The product of `factors`: nested products flattened, constants multiplied and put first."""
    constant: int | Fraction = 1
    kept: list[Node] = []
    for factor in factors:
        for part in factor.factors if isinstance(factor, Product) else (factor,):
            if isinstance(part, Number):
                constant *= part.value
            else:
                kept.append(part)
    if constant == 0 or not kept:
        return Number(exact(constant))
    if constant != 1:
        kept.insert(0, Number(exact(constant)))
    return kept[0] if len(kept) == 1 else Product(tuple(kept))


def power(base: Node, exponent: int | Fraction) -> Node:
    """`base ** exponent`. ZeroDivisionError for 1/0, OverflowError for an exponent that cannot be meant."""
    exponent = exact(exponent)
    if exponent == 0:
        return ONE
    if exponent == 1:
        return base
    if isinstance(exponent, int):
        if isinstance(base, Number):
            return Number(whole_power(base.value, exponent))
        if isinstance(base, Power) and isinstance(base.exponent, int):
            return power(base.base, base.exponent * exponent)
    result = Power(base, exponent)
    if _weight(result) > MAX_BITS:
        raise OverflowError(f"the power {exponent} is too large")
    return result


def call(function: str, arguments: Iterable[Node]) -> Node:
    """`function` of `arguments`, computed if all of them are constants. ZeroDivisionError for Mod(x, 0)."""
    arguments = tuple(arguments)
    values = [argument.value for argument in arguments if isinstance(argument, Number)]
    if len(values) == len(arguments):
        return Number(apply(function, values))
    if function in ("Min", "Max") and len(arguments) == 1:
        return arguments[0]
    return Call(function, arguments)


def apply(function: str, values: list[int | Fraction]) -> int | Fraction:
    """The value of one of `FUNCTIONS` at exact `values`."""
    match function:
        case "Min":
            return min(values)
        case "Max":
            return max(values)
        case "floor":
            return values[0].__floor__()
        case "ceiling":
            return values[0].__ceil__()
        case _:
            return exact(values[0] % values[1])


def children(node: Node) -> "tuple[Node, ...]":
    """The nodes directly below `node`."""
    match node:
        case Sum(parts) | Product(parts) | Call(_, parts):
            return parts
        case Power(base, _):
            return (base,)
        case _:
            return ()


def depth(node: Node) -> int:
    """How many levels deep `node` is nested; a number or symbol is 1."""
    return 1 + max(map(depth, children(node)), default=0)


def names(node: Node) -> Iterator[str]:
    """The symbol names in `node`, repeated as often as they occur."""
    if isinstance(node, Symbol):
        yield node.name
    for child in children(node):
        yield from names(child)


def replace(node: Node, new: Mapping[str, Node]) -> Node:
    """`node` with every symbol named in `new` replaced, all at once, and constants folded."""
    match node:
        case Symbol(name):
            return new.get(name, node)
        case Sum(terms):
            return add([replace(term, new) for term in terms])
        case Product(factors):
            return multiply([replace(factor, new) for factor in factors])
        case Power(base, exponent):
            return power(replace(base, new), exponent)
        case Call(function, arguments):
            return call(function, [replace(argument, new) for argument in arguments])
        case _:
            return node


def _weight(node: Node) -> int:
    """A bound on the bits of the constants that expanding `node` can make, each symbol counted as one bit."""
    below = [_weight(child) for child in children(node)]
    match node:
        case Number(value):
            return max(value.numerator.bit_length(), value.denominator.bit_length())
        case Sum(terms):
            return max(below) + len(terms)
        case Product():
            return sum(below)
        case Power(_, exponent):
            return ceil(max(below) * abs(Fraction(exponent)))
        case _:
            return max(below, default=1)
