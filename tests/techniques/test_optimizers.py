"""The book's optimizer steps: bytes as the interpreter counts them, state as tensors take it, torch's own for SGD."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")
pytest.importorskip("numpy", reason="Triton's interpreter needs numpy")

from oracles.interpreter import count_launches  # noqa: E402
from techniques import optimizer_launchers  # noqa: E402

from tfcost.book import load_book  # noqa: E402
from tfcost.cost import Cost  # noqa: E402
from tfcost.techniques.optimizers import sgd_mixed  # noqa: E402

SIZES = (1, 255, 256, 257, 1000, 2048, 4099)
KERNELS = [("adamw", "mixed"), ("adamw-8bit", "same"), ("adamw-8bit", "mixed")]


def booked(optimizer: str, precision: str, dtype: str = "float16") -> Cost:
    variant = {"optimizer": optimizer, "precision": precision}
    return load_book().find("optimizers", scope="part", pass_="forward", dtype=dtype, variant=variant, values={})


def value(cost: Cost, name: str, size: int) -> int:
    return int(cost.quantities[name].exact.evaluate({"N": size}))


def test_kernels_move_what_the_interpreter_counts() -> None:
    calls = [("run", {"size": size, "optimizer": optimizer, "precision": precision})
             for optimizer, precision in KERNELS for size in SIZES]  # fmt: skip
    counted = iter(count_launches(Path(optimizer_launchers.__file__), calls))
    for kind in KERNELS:
        (step,) = booked(*kind).steps
        for size in SIZES:
            found = next(counted)
            moved = {name: int(step.amounts[name].evaluate({"N": size})) for name in ("read_bytes", "write_bytes")}
            assert moved == {"read_bytes": found["load"], "write_bytes": found["store"]}, (kind, size)


@pytest.mark.parametrize("size", SIZES)
def test_state_is_what_the_tensors_take(size: int) -> None:
    """Weight and gradient of 2 bytes; master copy and moments of 4; bytes, and two scales for every 256."""
    blocks = -(-size // 256)
    state = {
        ("adamw", "mixed"): 3 * 4 * size,
        ("adamw-8bit", "same"): 2 * size + 2 * 4 * blocks,
        ("adamw-8bit", "mixed"): 2 * size + 2 * 4 * blocks + 4 * size,
        ("sgd", "mixed"): 4 * size,
    }
    for kind, expected in state.items():
        cost = booked(*kind)
        assert int(cost.composition["given_bytes"].evaluate({"N": size})) == 2 * 2 * size + expected
        # They take nothing besides.
        assert value(cost, "peak_bytes", size) == 2 * 2 * size + expected


def test_sgd_with_a_master_copy() -> None:
    weight, gradient = torch.randn(500).half(), torch.randn(500).half()
    master = weight.float()
    expected = master - 1e-3 * gradient.float()
    assert sgd_mixed(weight, gradient, master) is weight
    torch.testing.assert_close(master, expected)
    torch.testing.assert_close(weight, expected.half())


def test_8_bits_for_single_precision_weights() -> None:
    cost = booked("adamw-8bit", "same", "float32")
    assert value(cost, "peak_bytes", 512) == 2 * 4 * 512 + 2 * 512 + 2 * 2 * 4
