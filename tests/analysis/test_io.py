"""The I/O theorem: against a search for the largest tile that fits, at growing sizes."""

from fractions import Fraction

import pytest

from tfcost.analysis.bounds import Undecided
from tfcost.analysis.io import FLASH_REGIME, io_bound, largest_tile
from tfcost.analysis.regime import Regime
from tfcost.errors import UserError
from tfcost.formula import Formula

REGIME = Regime.of(*FLASH_REGIME)
# A kernel that keeps a tile of queries and walks over the keys, in bf16 with fp32 accumulators.
ISSUED = Formula("4*n*d_h + 4*n**2*d_h/B_M + 4*n")
SRAM = Formula("2*B_M*d_h + 4*B_N*d_h + 4*B_M*d_h + 4*B_M*B_N + 8*B_M")


def test_flash_attention() -> None:
    found = io_bound(ISSUED, SRAM, REGIME, other_tiles={"B_N": 64})
    assert (found.theta.text, found.tile.text, found.binding.text) == ("n**2*d_h**2/M", "M/d_h", "6*B_M*d_h")


def test_memory_that_is_fullest_at_one_of_two_points() -> None:
    """The terms of both count; a Max is at least half their sum, so the class is that of the sum."""
    two = Formula("Max(6*B_M*d_h + 4*B_M*B_N + 16*B_M, 6*B_M*d_h + 4*B_M*B_N + 2*B_N*d_h + 8*B_M)")
    found = io_bound(ISSUED, two, REGIME, other_tiles={"B_N": 64})
    assert (found.theta.text, found.tile.text, found.binding.text) == ("n**2*d_h**2/M", "M/d_h", "6*B_M*d_h")


@pytest.mark.parametrize("other", [{"B_N": 64}, {"B_N": "B_M"}, {"B_N": Formula("2*B_M")}])
def test_the_class_is_what_the_largest_tile_gives(other: dict[str, int | str | Formula]) -> None:
    found = io_bound(ISSUED, SRAM, REGIME, other_tiles=other)
    sram, issued = SRAM.substitute(other), ISSUED.substitute(other)
    quotients = []
    for t in (10, 20, 40, 80):
        for path in ((3, 1, 2), (2, 1, 2), (2, 1, 3), (4, 1, 4), (6, 2, 4), (5, 2, 6)):  # logarithms of n, d_h, M
            sizes = {"n": 2 ** (path[0] * t), "d_h": 2 ** (path[1] * t), "M": 2 ** (path[2] * t)}
            memory = 2**12 * sizes["M"]
            tile = largest_tile(sram, memory, sizes, smallest=1)
            assert sram.evaluate({**sizes, "B_M": tile}) <= memory < sram.evaluate({**sizes, "B_M": 2 * tile})
            quotients.append(issued.evaluate({**sizes, "B_M": tile}) / Fraction(found.theta.formula.evaluate(sizes)))
    assert 2**-16 < min(quotients) <= max(quotients) < 2**16


def test_the_square_tile_of_a_matrix_product() -> None:
    """Hong and Kung (1981): a product of n x n matrices moves n**3 / sqrt(M) words."""
    found = io_bound(
        Formula("8*n**3/B_M + 4*n**2"), Formula("4*B_M**2 + 8*B_M*B_N"), Regime.of("M <= n**2"), other_tiles={"B_N": 16}
    )
    assert (found.theta.text, found.tile.text) == ("n**3/M**(1/2)", "M**(1/2)")


def test_what_cannot_be_said() -> None:
    with pytest.raises(UserError, match="does not depend on B_M"):
        io_bound(ISSUED, Formula("4*d_h"), REGIME)
    with pytest.raises(Undecided, match="does not say that d_h bytes fit"):
        io_bound(ISSUED, SRAM, Regime.of("M <= n*d_h"), other_tiles={"B_N": 64})
    with pytest.raises(Undecided, match="does not decide which"):
        io_bound(ISSUED, SRAM, Regime.of("M >= d_h"), other_tiles={"B_N": "B_M"})


def test_largest_tile() -> None:
    sizes = {"d_h": 64, "B_N": 64}
    assert largest_tile(SRAM, 228 * 1024, sizes) == 256
    assert largest_tile(SRAM, SRAM.evaluate({**sizes, "B_M": 128}), sizes) == 128
    assert largest_tile(SRAM, SRAM.evaluate({**sizes, "B_M": 128}) - 1, sizes) == 64
    with pytest.raises(UserError, match="does not fit"):
        largest_tile(SRAM, 1024, sizes)
    with pytest.raises(UserError, match="does not depend"):
        largest_tile(Formula("d_h"), 1024, sizes)
