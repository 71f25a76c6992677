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

    `numbers` is (shift, period, lead, key_start, most, sure, tail): row s of a class stands at its key s + shift; class
    0 starts at row -lead and key `key_start`; a class has `sure` to `most` keys. `tail` is how many classes have `most`
    (residues) or the length of the last class (blocks).
    """

    classes: int
    rows: int
    keys: int
    numbers: tuple[int, int, int, int, int, int, int]


def geometry(one: Pass, n: int, m: int, *, by_keys: bool = False) -> Geometry:
    """The geometry of a pass over n queries and m keys, the last query at the last key.

    The classes cover every query, or with `by_keys` every key.
    """
    offset, period = m - n, one.period
    if one.layout == "rows":
        return Geometry(1, n, m, (offset, 1, 0, 0, m, m, 0))
    if one.layout == "residues":
        shift, most, sure = offset // period, -(-m // period), m // period
        lead = offset - shift * period
        return Geometry(period, most - shift, most, (shift, period, lead, 0, most, sure, m - sure * period))
    first, stop = 0 if by_keys else offset // period, -(-m // period)
    tail = m - (stop - 1) * period
    numbers = (0, period, offset - first * period, first * period, period, period, tail)
    return Geometry(stop - first, period, period, numbers)
