"""A mixture of experts whose tokens are not spread evenly: the cost of an even routing and a routing in, its cost out.

Rows lie in tiles that belong to one expert each, so an expert with X rows takes ceiling(X/r) tiles of r rows. The cost
of an even routing has X = b*n*k/E; it is linear in the tiles, so other numbers of tiles can take their place.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import cos, exp, fsum, lgamma, log, log1p, pi, sin, sqrt

from tfcost.analysis import polynomial as poly
from tfcost.cost import Cost
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.formula import tree as t

EVEN = Formula("b*k*n/E")
"""Rows of an expert if all have the same number."""

BALANCED, WORST = "balanced", "worst"
"""What `Cost.variant["routing"]` is then; and where experts take the most tiles that they can."""

RANDOM = "each token goes to k of the E experts, every choice of k equally likely and whatever other tokens do"
"""What an expected cost supposes of the routing."""


_EXACT = 1e-9  # tiles of one expert


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected number of tiles of `rows` rows that all experts take, under RANDOM, and its `closed` form.

    `off` is the most that `closed` differs from `tiles`; it becomes small once an expert's rows vary by more than a
    tile.
    """

    rows: int
    tiles: float
    closed: Formula
    off: float


@dataclass(frozen=True, slots=True)
class Spread:
    """A quantity (by name) of an `even` routing, on average under RANDOM, and of the `worst` routing."""

    quantity: str
    even: int | Fraction
    expected: float
    worst: int | Fraction


@dataclass(frozen=True, slots=True)
class Uneven:
    """What depends on the routing: quantities, and the tiles behind them."""

    quantities: tuple[Spread, ...]
    tiles: tuple[Expected, ...]


def uneven(cost: Cost, costs: Iterable[Cost], values: Mapping[str, int]) -> Uneven | None:
    """What the even routing of `cost` becomes with others, the worst one from `costs`; None if it has none."""
    counting = {name: one.exact for name, one in cost.quantities.items() if tile_rows(one.exact)}
    if cost.variant.get("routing") != BALANCED or not counting:
        return None
    asked = (cost.scope, cost.pass_, cost.dtypes, {**cost.variant, "routing": WORST})
    (worst,) = (one for one in costs if (one.scope, one.pass_, one.dtypes, one.variant) == asked)
    spreads = (
        Spread(name, even.evaluate(values), expected_value(even, values), worst.quantities[name].exact.evaluate(values))
        for name, even in counting.items()
    )
    sizes = sorted({rows for even in counting.values() for rows in tile_rows(even)}, reverse=True)
    return Uneven(tuple(spreads), tuple(expected_tiles(values, rows) for rows in sizes))


def tile_rows(formula: Formula) -> tuple[int, ...]:
    """The sizes of the tiles, in rows, that an even routing's `formula` counts, in order."""
    return tuple(sorted({rows for call in _calls(formula.tree) if (rows := _rows(call)) is not None}))


def with_tiles(formula: Formula, per_expert: Callable[[int], Fraction | Formula]) -> Formula:
    """An even routing's `formula` for another one: `per_expert`(r) tiles of r rows for each expert on average.

    UserError if the formula is not linear in its tiles, so that their average does not give its own.
    """
    terms = []
    for monomial, coefficient in poly.expand(formula.tree).items():
        tiles = {atom: power for atom, power in monomial if isinstance(atom, t.Call) and _rows(atom) is not None}
        rest = frozenset(pair for pair in monomial if pair[0] not in tiles)
        if any(_rows(call) is not None for call in _calls(poly.monomial_tree(rest))) or sum(tiles.values()) > 1:
            raise UserError(f"not linear in the tiles of experts: {poly.to_formula({monomial: coefficient})}")
        average = [_tree(per_expert(_rows(call) or 1)) for call in tiles]
        terms.append(t.multiply([t.Number(coefficient), poly.monomial_tree(rest), *average]))
    return Formula.of_tree(t.add(terms))


def of_histogram(formula: Formula, rows: Sequence[int], values: Mapping[str, int]) -> Formula:
    """An even routing's `formula` where expert e gets `rows`[e] rows. UserError if they are none of the routings at
    `values`: E numbers from 0 to b*n that add up to b*n*k.
    """
    tokens, total = values["b"] * values["n"], values["b"] * values["n"] * values["k"]
    if len(rows) != values["E"] or sum(rows) != total or not all(0 <= one <= tokens for one in rows):
        wanted = f"E = {values['E']} numbers of 0 to {tokens} that add up to {total}"
        raise UserError(f"the rows of experts must be {wanted}, not {len(rows)} that add up to {sum(rows)}")
    return with_tiles(formula, lambda size: Fraction(sum(-(-one // size) for one in rows), len(rows)))


def expected_value(formula: Formula, values: Mapping[str, int]) -> float:
    """What an even routing's `formula` is on average over routings under RANDOM, at `values`."""
    found = with_tiles(formula, lambda rows: Fraction(_mean_tiles(values, rows)))
    return float(found.evaluate(values))


def expected_tiles(values: Mapping[str, int], rows: int) -> Expected:
    """The expected tiles of `rows` rows at `values`, and as a formula."""
    closed = with_tiles(Formula(f"E*ceiling(b*k*n/({rows}*E))"), lambda size: closed_form(size))
    return Expected(rows, values["E"] * _mean_tiles(values, rows), closed, values["E"] * _farthest(values, rows))


def closed_form(rows: int) -> Formula:
    """About as many tiles as an expert takes on average: its rows, and half of what a last tile can leave empty."""
    return Formula(f"b*k*n/({rows}*E) + {Fraction(rows - 1, 2 * rows)}")


def _mean_tiles(values: Mapping[str, int], rows: int) -> float:
    """The mean of ceiling(X/rows) for X of a binomial distribution: b*n tokens, each here with probability k/E."""
    tokens, chance = values["b"] * values["n"], values["k"] / values["E"]
    if chance == 1:
        return -(-tokens // rows)
    if _farthest(values, rows) < _EXACT:
        return float(closed_form(rows).evaluate(values))
    ways = lgamma(tokens + 1)
    # Where a number of rows is this far from the mean, it is less likely than floats are exact.
    middle, spread = tokens * chance, 40 * sqrt(tokens * chance * (1 - chance)) + 40
    likely = range(max(0, int(middle - spread)), min(tokens, int(middle + spread)) + 1)
    logs = (ways - lgamma(x + 1) - lgamma(tokens - x + 1) + x * log(chance) + (tokens - x) * log1p(-chance)
            for x in likely)  # fmt: skip
    return fsum(-(-x // rows) * exp(one) for x, one in zip(likely, logs, strict=True))


def _farthest(values: Mapping[str, int], rows: int) -> float:
    """How far the mean of ceiling(X/rows) can be from X's mean / rows + (rows - 1)/(2*rows).

    What a last tile leaves empty, -X mod rows, is a sum of waves of X; the mean of each wave is X's characteristic
    function there, whose size for a binomial X is |1 - p + p*e^(iθ)| to the power of the tokens.
    """
    tokens, chance = values["b"] * values["n"], values["k"] / values["E"]
    waves = []
    for wave in range(1, rows):
        squared = 1 - 2 * chance * (1 - chance) * (1 - cos(2 * pi * wave / rows))
        waves.append(max(squared, 0.0) ** (tokens / 2) / (2 * sin(pi * wave / rows)))
    return fsum(waves) / rows


def _rows(call: t.Node) -> int | None:
    """The r of ceiling(b*k*n/(r*E)); None for anything else."""
    if not isinstance(call, t.Call) or call.function != "ceiling":
        return None
    quotient = poly.expand(t.multiply([call.arguments[0], t.power(EVEN.tree, -1)]))
    factor = quotient.get(poly.UNIT, 0)
    return Fraction(factor).denominator if len(quotient) == 1 and Fraction(factor).numerator == 1 else None


def _calls(node: t.Node) -> list[t.Call]:
    own = [node] if isinstance(node, t.Call) else []
    return own + [call for child in t.children(node) for call in _calls(child)]


def _tree(average: Fraction | Formula) -> t.Node:
    return average.tree if isinstance(average, Formula) else t.Number(t.exact(average))
