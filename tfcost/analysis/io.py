"""The I/O theorem of a tiled kernel: bytes moved and on-chip memory as formulas of the tile in; their class in M out.

The tile is made as large as the on-chip memory M allows and eliminated: what is left says how traffic falls with M.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from tfcost.analysis import polynomial as poly
from tfcost.analysis.bounds import Undecided
from tfcost.analysis.polynomial import Monomial, Polynomial
from tfcost.analysis.regime import Regime
from tfcost.analysis.theta import Theta, theta
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.formula import tree as t

FLASH_REGIME = ("M <= n*d_h", "M >= d_h**2")
"""On-chip memory between a tile's width squared and a whole head, as in the FlashAttention paper (Dao et al., 2022)."""

MEMORY = "M"


@dataclass(frozen=True, slots=True)
class IoBound:
    """The class of the bytes moved when the tile fills the on-chip memory; `tile` is the class of that tile, `binding`
    the term of the on-chip memory that limits it.
    """

    theta: Theta
    tile: Formula
    binding: Formula


def io_bound(
    issued: Formula,
    sram: Formula,
    regime: Regime,
    tile: str = "B_M",
    other_tiles: Mapping[str, int | str | Formula] | None = None,
) -> IoBound:
    """The class of `issued` bytes with `tile` as large as `sram` <= M allows, under `regime`.

    `issued` is a tile-aligned formula of `tile`; `other_tiles` gives the remaining ones as constants or formulas of
    `tile` (B_N = "B_M"). UserError if `sram` does not grow with the tile; Undecided if the regime leaves open which
    term limits it, or whether a tile fits at all.
    """
    fixed = dict(other_tiles or {})
    needed = _terms(sram.substitute(fixed).tree)
    limits = {_limit(monomial, tile, regime): monomial for monomial in needed if _power(monomial, tile)}
    if not limits:
        raise UserError(f"the on-chip memory {sram} does not depend on {tile}")
    symbols = {atom for monomial in (*limits, *needed) for atom, _ in monomial if isinstance(atom, str)}
    order = regime.order(symbols | {MEMORY})
    memory: Monomial = frozenset([(MEMORY, 1)])
    for monomial in needed:
        at_least = frozenset(pair for pair in monomial if pair[0] != tile)
        if not order.at_most(at_least, memory):
            raise Undecided(f"the regime {regime.text} does not say that {_text(at_least)} bytes fit into {MEMORY}")
    smallest = [limit for limit in limits if all(order.at_most(limit, other) for other in limits)]
    if not smallest:
        several = ", ".join(map(_text, limits))
        raise Undecided(f"the regime {regime.text} does not decide which of {several} limits {tile}")
    moved = poly.replaced(poly.expand(issued.substitute(fixed).tree), tile, {smallest[0]: 1})
    binding = limits[smallest[0]]
    moved_class = theta(poly.to_formula(moved), regime)
    return IoBound(moved_class, _formula(smallest[0]), poly.to_formula({binding: needed[binding]}))


def largest_tile(
    sram: Formula, memory_bytes: int, values: Mapping[str, int], tile: str = "B_M", smallest: int = 16
) -> int:
    """The largest power of two for `tile`, from `smallest` on, with which `sram` at `values` fits `memory_bytes`.

    UserError if even the smallest does not fit, or if the memory does not depend on the tile.
    """
    if tile not in sram.symbols:
        raise UserError(f"the on-chip memory {sram} does not depend on {tile}")
    if sram.evaluate({**values, tile: smallest}) > memory_bytes:
        raise UserError(f"a tile of {tile} = {smallest} does not fit {memory_bytes} bytes of on-chip memory")
    size = smallest
    while sram.evaluate({**values, tile: 2 * size}) <= memory_bytes:
        size *= 2
    return size


def _terms(node: t.Node) -> Polynomial:
    """The terms of the on-chip memory. Those of a Max come each with its largest coefficient: together they are more
    than the Max by a constant factor at most.
    """
    sides = node.arguments if isinstance(node, t.Call) and node.function == "Max" else (node,)
    needed: Polynomial = {}
    for side in sides:
        for monomial, coefficient in poly.expand(side).items():
            needed[monomial] = max(coefficient, needed.get(monomial, coefficient), key=Fraction)
    return needed


def _power(monomial: Monomial, tile: str) -> Fraction:
    return Fraction(dict(monomial).get(tile, 0))


def _limit(monomial: Monomial, tile: str, regime: Regime) -> Monomial:
    """The largest tile, up to a constant, for which this term alone stays below M."""
    rest = frozenset(pair for pair in monomial if pair[0] != tile and pair[0] not in regime.constants)
    quotient: Polynomial = {poly.joined(frozenset([(MEMORY, 1)]), rest, -1): 1}
    (limit,) = poly.raised(quotient, 1 / _power(monomial, tile))
    return limit


def _formula(monomial: Monomial) -> Formula:
    return poly.to_formula({monomial: 1})


def _text(monomial: Monomial) -> str:
    return _formula(monomial).pretty(ascii_only=True)
