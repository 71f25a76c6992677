"""Cones in the space of the symbols' logarithms: inequalities in, extreme rays out, in exact integers.

The double description method (Motzkin et al., 1953): start from the rays of the orthant (every symbol is at least 1)
and cut with one half-space after another.
"""

from collections.abc import Sequence
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


def cut(rays: list[Vector], rows: Sequence[Vector], new: Sequence[Vector]) -> list[Vector]:
    """The rays of the cone with the half-spaces `new` added, from its `rays` and the `rows` that made them."""
    seen = list(rows)
    for row in new:
        rays = _cut(rays, row, seen)
        seen.append(row)
    return rays


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
