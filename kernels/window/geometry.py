"""A pass: which queries see which keys in one launch. Its geometry: the integers that the kernels need for that.

In: the pass and the sizes n and m, symbolic or not. Out: `Geometry`. Pure arithmetic; README.md, "Classes".
"""

from typing import NamedTuple


class Pass(NamedTuple):
    """One launch per kernel.

    `layout` makes the classes: all positions ("rows"), those equal modulo `period` ("residues"), or `period` in a row
    ("blocks"). `pattern` says which keys of its class a query sees: at most `w` away ("band"), those and the first
    `g`, which also see all ("global"), at least 2 away ("apart"), or "all"; never a later one if `causal`.
    """

    layout: str
    pattern: str
    causal: bool
    period: int = 1
    w: int = 0
    g: int = 0


class Geometry(NamedTuple):
    """How many classes there are, their greatest number of rows and of keys, and the kernels' integers.

    `numbers` is (shift, period, lead, key_start, least, tail): row s of a class stands at its key s + shift; class
    0 starts at row -lead and key `key_start`; every residue class has `least` keys, and the first `tail` of them one
    more. For blocks, `tail` is the length of the last one.
    """

    classes: int
    rows: int
    keys: int
    numbers: tuple[int, int, int, int, int, int]


def geometry(one: Pass, n: int, m: int, *, by_keys: bool = False) -> Geometry:
    """The geometry of a pass over n queries and m keys, the last query at the last key.

    The classes cover every query, or with `by_keys` every key.
    """
    offset, period = m - n, one.period
    if one.layout == "rows":
        return Geometry(1, n, m, (offset, 1, 0, 0, m, 0))
    if one.layout == "residues":
        shift, least, most = offset // period, m // period, -(-m // period)
        numbers = (shift, period, offset - shift * period, 0, least, m - least * period)
        return Geometry(period, most - shift, most, numbers)
    first, stop = 0 if by_keys else offset // period, -(-m // period)
    numbers = (0, period, offset - first * period, first * period, period, m - (stop - 1) * period)
    return Geometry(stop - first, period, period, numbers)
