"""Sums of integer expressions over ranges, in closed form and exact for every value of what stays symbolic.

`sum_range(body, var, low, high)` adds up body for low <= var < high. A polynomial is summed by Faulhaber's formula.
A clamp that advances by its own height telescopes. Any other minimum or maximum splits the range where its
arguments cross. A floor cuts the range into blocks on which it is constant, or into residue classes.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from math import comb, gcd, lcm

from tfcost.derive.integers.clamps import as_clamp
from tfcost.derive.integers.convert import to_sympy
from tfcost.derive.integers.division import ceil_div, floor_div
from tfcost.derive.integers.lattice import clamp, extreme, maximum, minimum
from tfcost.derive.integers.poly import (
    ONE,
    ZERO,
    Atom,
    Extreme,
    Floor,
    Monomial,
    Number,
    Poly,
    Var,
    as_poly,
    common_factor,
    magnitude,
)
from tfcost.derive.integers.prove import is_nonnegative, sign
from tfcost.derive.integers.rewrite import rewrite

_MOST_RESIDUES = 64


class NoClosedForm(Exception):
    """The sum has no closed form that these rules find. Nothing is guessed."""


def sum_range(body: Poly, var: Var, low: Poly | int, high: Poly | int) -> Poly:
    """The sum of `body` over low <= var < high; low <= high is assumed. Raises `NoClosedForm`."""
    start, stop = as_poly(low), as_poly(high)
    ragged = _ragged_tile(body, var, start, stop)
    if ragged is not None:
        return ragged
    groups: dict[Monomial, dict[Monomial, Number]] = {}
    for monomial, value in body:
        moving = tuple((atom, power) for atom, power in monomial if var in atom.variables)
        fixed = tuple((atom, power) for atom, power in monomial if var not in atom.variables)
        groups.setdefault(moving, {})[fixed] = value
    total = ZERO
    for moving, cofactor in groups.items():
        total = total + Poly(cofactor) * _sum_term(Poly({moving: 1}), var, start, stop)
    return total


def _ragged_tile(body: Poly, var: Var, low: Poly, high: Poly) -> Poly | None:
    """Sums slope*var + rest where that stays within [0, |slope|]: a clamp of which only the line is left.

    That leaves at most two steps, so the clamp's sum says more than Faulhaber's formula: the one ragged tile of
    n - 64*floor(n/64) elements counts as just that.
    """
    factor, line = common_factor(body)
    parts = line.affine(var) if var in line.variables and var not in factor.variables else None
    if parts is None or not parts[0].is_constant:
        return None
    slope, rest = parts
    height = magnitude(slope.constant)
    if not (is_nonnegative(height - line) and is_nonnegative(line)):
        return None
    end = high - 1 if slope.constant > 0 else low
    return factor * clamp(slope * end + rest, 0, as_poly(height) * (high - low))


@lru_cache(maxsize=20_000)
def _sum_term(term: Poly, var: Var, low: Poly, high: Poly) -> Poly:
    """The sum of one monomial whose atoms all depend on `var`."""
    if term.is_constant:
        return (high - low) * term
    atoms = [atom for atom in _nested_atoms(term) if var in atom.variables]
    if all(isinstance(atom, Var) for atom in atoms):
        ((_, power),) = next(iter(term.terms))
        return _power_sum(power, high) - _power_sum(power, low)
    telescoped = _telescope(term, var, low, high)
    if telescoped is not None:
        return telescoped
    floors = [atom for atom in atoms if isinstance(atom, Floor)]
    # var // columns and var % columns count two axes: taken apart before anything splits the range.
    axes = _sum_blockwise(term, var, low, high, [atom for atom in floors if _counts_an_axis(atom, low, high)])
    if axes is not None:
        return axes
    split = _best_split(atoms, var, low, high)
    if split is not None:
        return _sum_pieces(term, var, low, high, *split)
    blocks = _sum_blockwise(term, var, low, high, floors)
    return blocks if blocks is not None else _sum_residues(term, var, low, high, floors)


def _nested_atoms(poly: Poly) -> list[Atom]:
    """All atoms, inner ones first."""
    found: dict[Atom, None] = {}
    for atom in poly.atoms:
        for part in atom.parts:
            found.update(dict.fromkeys(_nested_atoms(part)))
        found[atom] = None
    return list(found)


def _power_sum(power: int, stop: Poly) -> Poly:
    """The sum of x**power over 0 <= x < stop, as the polynomial in `stop` that it is."""
    total = ZERO
    for index, coefficient in enumerate(_faulhaber(power)):
        total = total + stop**index * coefficient
    return total


@lru_cache(maxsize=64)
def _faulhaber(power: int) -> tuple[Fraction, ...]:
    """Coefficients c with sum(x**power for x in range(s)) == sum(c[i] * s**i)."""
    # (s)**(p+1) telescopes: the sum over x of (x+1)**(p+1) - x**(p+1) involves the lower power sums.
    total = [Fraction(0)] * (power + 2)
    total[power + 1] = Fraction(1)
    for lower in range(power):
        for index, coefficient in enumerate(_faulhaber(lower)):
            total[index] -= comb(power + 1, lower) * coefficient
    return tuple(coefficient / (power + 1) for coefficient in total)


def _telescope(term: Poly, var: Var, low: Poly, high: Poly) -> Poly | None:
    """Sums clamp(x, bottom, bottom + s) where x moves by exactly s per step: the pieces join without gap."""
    factors = next(iter(term.terms))
    atom, power = factors[0]
    shape = as_clamp(atom, var) if len(factors) == power == 1 and isinstance(atom, Extreme) else None
    if shape is None:
        return None
    height = magnitude(shape.slope.constant)
    bottom = shape.bottom_if_height(height, var)
    if bottom is None:
        return None
    end = high - 1 if shape.slope.constant > 0 else low
    return bottom * (high - low) + clamp(shape.slope * end + shape.rest - bottom, 0, height * (high - low))


Split = tuple[Extreme, Poly, Poly, Poly]


def _best_split(atoms: list[Atom], var: Var, low: Poly, high: Poly) -> Split | None:
    """(atom, point, before, after): the atom equals `before` for var < point, `after` from there on."""
    known = {*_nested_atoms(low), *_nested_atoms(high), *atoms}
    for atom in atoms:
        switch = _switch(atom, var, low, high) if isinstance(atom, Extreme) else None
        if switch is not None:
            return switch
    for atom in atoms:
        if not isinstance(atom, Extreme):
            continue
        splits: list[Split] = []
        for index, left in enumerate(atom.parts):
            for right in atom.parts[index + 1 :]:
                without_left = extreme(atom.is_min, [part for part in atom.parts if part is not left])
                without_right = extreme(atom.is_min, [part for part in atom.parts if part is not right])
                for point, rising in _crossings(left - right, var):
                    before, after = (
                        (without_right, without_left) if rising == atom.is_min else (without_left, without_right)
                    )
                    splits.append((atom, maximum(low, minimum(point, high)), before, after))
        if splits:
            return min(splits, key=lambda split: _novelty(split[1], known))
    return None


def _switch(atom: Extreme, var: Var, low: Poly, high: Poly) -> Split | None:
    """The split of a clamp of height 1: whole numbers jump from its bottom to its top, nothing lies between."""
    shape = as_clamp(atom, var)
    bottom = shape.bottom_if_height(1, var) if shape is not None else None
    if shape is None or bottom is None or not isinstance(shape.slope.constant, int):
        return None
    steepness, top = abs(shape.slope.constant), bottom + 1
    if shape.slope.constant > 0:
        point = ceil_div(top - shape.rest, steepness)
        return atom, maximum(low, minimum(point, high)), bottom, top
    point = floor_div(shape.rest - top, steepness) + 1
    return atom, maximum(low, minimum(point, high)), top, bottom


def _novelty(point: Poly, known: set[Atom]) -> tuple[int, int]:
    """How many atoms a split point would bring into the result, then how long it is."""
    return sum(atom not in known for atom in _nested_atoms(point)), point.size


def _crossings(difference: Poly, var: Var) -> Iterator[tuple[Poly, bool]]:
    """(point, rising): the difference is <= 0 before the point and >= 0 after it if rising, else the reverse.

    Where the difference is 0 either side is right, so there are two points to choose from: the caller takes the
    one that makes the simpler sum.
    """
    scaled = difference * difference.denominator()
    parts = scaled.affine(var)
    if parts is not None:
        slope, rest = parts
        direction = sign(slope) if slope.terms else 0
        if direction:
            root, steepness = -rest * direction, slope * direction
            yield ceil_div(root, steepness), direction > 0
            yield floor_div(root, steepness) + 1, direction > 0
        return
    for atom in scaled.atoms:
        if isinstance(atom, Floor) and var in atom.variables:
            yield from _floor_crossings(scaled, atom, var)
            return


def _floor_crossings(scaled: Poly, atom: Floor, var: Var) -> Iterator[tuple[Poly, bool]]:
    """The same for factor * floor((slope*var + rest)/divisor) + other, with nothing else that depends on var."""
    parts = scaled.split(atom)
    inner = atom.numerator.affine(var)
    if parts is None or inner is None or var in parts[1].variables or var in atom.divisor.variables:
        return
    factor, other = parts
    if not factor.is_constant or sign(inner[0]) <= 0:
        return
    rising = factor.constant > 0
    level = -other if rising else other
    size = magnitude(factor.constant)
    for most in (ceil_div(level, int(size)) - 1, floor_div(level, int(size))):
        # floor(...) <= most holds up to (and without) the first var with slope*var + rest >= divisor*(most + 1).
        yield ceil_div(atom.divisor * (most + 1) - inner[1], inner[0]), rising


def _sum_pieces(
    term: Poly, var: Var, low: Poly, high: Poly, atom: Extreme, point: Poly, before: Poly, after: Poly
) -> Poly:
    total = ZERO
    for start, stop, value in ((low, point, before), (point, high, after)):
        if start == stop:
            continue
        piece = Var(var.name + "'", start, stop - 1, var.depth)
        renamed = rewrite(value, {var: Poly.of(piece)})
        total = total + sum_range(rewrite(term, {atom: renamed, var: Poly.of(piece)}), piece, start, stop)
    return total


def _counts_an_axis(atom: Floor, low: Poly, high: Poly) -> bool:
    """Whether the floor is one of two axes that share the counter: its blocks are symbolic, or fill the range."""
    return not atom.divisor.is_constant or (not low.terms and high == floor_div(high, atom.divisor) * atom.divisor)


def _sum_blockwise(term: Poly, var: Var, low: Poly, high: Poly, floors: list[Floor]) -> Poly | None:
    """The sum by the blocks on which one of the floors is constant; None if no floor allows it."""
    for atom in floors:
        inner = atom.numerator.affine(var)
        if inner is not None and var not in atom.divisor.variables and inner[0] in (ONE, -ONE):
            total = _sum_blocks(term, var, low, high, atom, inner[0], inner[1])
            if total is not None:
                return total
    return None


def _sum_blocks(term: Poly, var: Var, low: Poly, high: Poly, atom: Floor, direction: Poly, offset: Poly) -> Poly | None:
    """With x = direction*var + offset = divisor*block + place the floor is `block`: sum over places, then blocks.

    None if the first block is a started one and the sum is not a polynomial within a block.
    """
    divisor = atom.divisor
    start, stop = (low + offset, high + offset) if direction == ONE else (offset - high + 1, offset - low + 1)
    first, last = floor_div(start, divisor), floor_div(stop, divisor)
    place = Var(var.name + ".place", 0, divisor - 1, var.depth)

    def within(block: Poly, place: Var) -> Poly:
        x = block * divisor + Poly.of(place)
        return rewrite(term, {atom: block, var: (x - offset) * direction})

    any_block = Var(var.name + ".block", first, last, var.depth)
    body = within(Poly.of(any_block), place)
    moving = (inner for inner in _nested_atoms(body) if not {any_block, place}.isdisjoint(inner.variables))
    if all(isinstance(inner, Var) for inner in moving):
        before = _block_polynomial(body, any_block, place, divisor, start)
        return _block_polynomial(body, any_block, place, divisor, stop) - before
    if start.terms:
        return None
    block = Var(any_block.name, ZERO, last - 1, var.depth)
    total = sum_range(sum_range(within(Poly.of(block), place), place, 0, divisor), block, 0, last)
    left = stop - last * divisor
    if left.terms:
        place = Var(place.name, 0, left - 1, var.depth)
        total = total + sum_range(within(last, place), place, 0, left)
    return total


def _block_polynomial(body: Poly, block: Var, place: Var, divisor: Poly, stop: Poly) -> Poly:
    """The sum of a polynomial body over 0 <= x < stop, by whole blocks and the started one."""
    last = floor_div(stop, divisor)
    whole = sum_range(sum_range(body, place, 0, divisor), block, 0, last)
    return whole + sum_range(rewrite(body, {block: last}), place, 0, stop - last * divisor)


def _sum_residues(term: Poly, var: Var, low: Poly, high: Poly, floors: list[Floor]) -> Poly:
    """Residue classes of var modulo what makes every floor's argument a whole step."""
    period = 1
    for atom in floors:
        inner = atom.numerator.affine(var)
        if inner is None or not inner[0].is_constant or not atom.divisor.is_constant:
            raise NoClosedForm(f"no closed form for the sum of {to_sympy(term)} over {var.name}")
        divisor = int(atom.divisor.constant)
        period = lcm(period, divisor // gcd(divisor, int(inner[0].constant)))
    if not 1 < period <= _MOST_RESIDUES:
        raise NoClosedForm(f"no closed form for the sum of {to_sympy(term)} over {var.name} (period {period})")
    total = ZERO
    for residue in range(period):
        start, stop = ceil_div(low - residue, period), ceil_div(high - residue, period)
        index = Var(var.name + ".index", start, stop - 1, var.depth)
        total = total + sum_range(rewrite(term, {var: Poly.of(index) * period + residue}), index, start, stop)
    return total
