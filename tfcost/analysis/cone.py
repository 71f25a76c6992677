"""Cones in the space of the symbols' logarithms: inequalities in, extreme rays out, in exact integers.

The double description method (Motzkin et al., 1953): start from the rays of the orthant (every symbol is at least 1)
and cut with one half-space after another.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import gcd

Vector = tuple[int, ...]


def dot(one: Sequence[int], two: Sequence[int]) -> int:
    """The scalar product."""
    return sum(a * b for a, b in zip(one, two, strict=True))


def extreme_rays(dimension: int, rows: Sequence[Vector]) -> list[Vector]:
    """The extreme rays of {x >= 0: row . x >= 0 for every row}, each divided by its common factor."""
    rays: list[Vector] = [tuple(int(i == j) for j in range(dimension)) for i in range(dimension)]
    for count, row in enumerate(rows):
        rays = _cut(rays, row, rows[:count])
    return rays


def reaches(rows: Sequence[Vector], above: Sequence[Vector]) -> bool:
    """Whether some x >= 0 has row . x >= 0 for every one of `rows` and row . x > 0 for every one of `above`.

    The first phase of the simplex method with Bland's rule: rays of a cone in many dimensions are too many to list.
    Columns of the table are x, what a row has too much, what an `above` still lacks, and the right side; its rows are
    whole numbers, each with a scale of its own.
    """
    dimension, count, zeros = len(above[0]), len(rows) + len(above), len(rows)
    table = []
    for place, row in enumerate((*rows, *above)):
        sign = 1 if place >= zeros else -1
        spare = [-sign * (place == column) for column in range(count)]
        lacking = [int(place == column) for column in range(zeros, count)]
        table.append([*(sign * value for value in row), *spare, *lacking, int(place >= zeros)])
    first_lacking = dimension + count
    basis = [dimension + place if place < zeros else first_lacking + place - zeros for place in range(count)]
    while True:
        missing = [(row, row[basic]) for row, basic in zip(table, basis, strict=True) if basic >= first_lacking]
        if not any(row[-1] for row, _ in missing):
            return True
        gains = (sum(Fraction(row[c], scale) for row, scale in missing if row[c]) for c in range(first_lacking))
        column = next((c for c, gain in enumerate(gains) if gain > 0), None)
        if column is None:
            return False
        _enter(table, basis, column)


def _enter(table: list[list[int]], basis: list[int], column: int) -> None:
    """Brings the variable of `column` into the basis, for that one which reaches 0 first."""
    candidates = [place for place, row in enumerate(table) if row[column] > 0]
    leaving = min(candidates, key=lambda place: (Fraction(table[place][-1], table[place][column]), basis[place]))
    own, pivot = table[leaving], table[leaving][column]
    for place, row in enumerate(table):
        if place != leaving and (factor := row[column]):
            changed = [pivot * value - factor * other for value, other in zip(row, own, strict=True)]
            divisor = gcd(*changed)
            table[place] = [value // divisor for value in changed]
    basis[leaving] = column


def _cut(rays: list[Vector], row: Vector, rows: Sequence[Vector]) -> list[Vector]:
    values = [dot(ray, row) for ray in rays]
    below = [index for index, value in enumerate(values) if value < 0]
    if not below:
        return rays
    tight = [_tight(ray, rows) for ray in rays]
    kept = [ray for ray, value in zip(rays, values, strict=True) if value >= 0]
    for i, value in enumerate(values):
        if value <= 0:
            continue
        for j in below:
            if _adjacent(tight, i, j):
                kept.append(_between(rays[i], value, rays[j], -values[j]))
    return kept


def _tight(ray: Vector, rows: Sequence[Vector]) -> int:
    """The set of inequalities that hold with equality at `ray`, as bits."""
    bits = 0
    for position, value in enumerate(ray):
        bits |= (value == 0) << position
    for position, row in enumerate(rows, start=len(ray)):
        bits |= (dot(ray, row) == 0) << position
    return bits


def _adjacent(tight: list[int], i: int, j: int) -> bool:
    """Whether rays i and j span an edge: no third ray is tight wherever both are."""
    common = tight[i] & tight[j]
    return not any(bits & common == common for k, bits in enumerate(tight) if k not in (i, j))


def _between(inside: Vector, height: int, outside: Vector, depth: int) -> Vector:
    """The ray where the segment from `inside` to `outside` meets the cutting plane."""
    ray = [depth * a + height * b for a, b in zip(inside, outside, strict=True)]
    factor = gcd(*ray)
    return tuple(value // factor for value in ray)
