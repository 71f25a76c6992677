"""The fused feed-forward network: its values, and its costs against Triton's interpreter, torch's FLOP counter and the
allocator.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")
pytest.importorskip("numpy", reason="Triton's interpreter needs numpy")

from oracles.allocator import peak_of_backward, peak_of_forward  # noqa: E402
from oracles.interpreter import count_launches  # noqa: E402
from techniques import ffn_launchers  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402
from triton.runtime.jit import JITFunction  # noqa: E402

from tfcost.cost import Cost  # noqa: E402
from tfcost.derive.costs import derive_variant  # noqa: E402
from tfcost.derive.technique import Variant  # noqa: E402
from tfcost.techniques import ffn  # noqa: E402
from tfcost_kernels.ffn import gated  # noqa: E402

AMOUNTS = {"dot": "matmul_flops", "load": "read_bytes", "store": "write_bytes"}
# The last one is more than one block of the kernel, and not whole blocks.
SIZES = [
    {"b": 1, "n": 1, "d": 1, "f": 1},
    {"b": 2, "n": 5, "d": 16, "f": 33},
    {"b": 1, "n": 64, "d": 8, "f": 16},
    {"b": 3, "n": 7, "d": 20, "f": 100},
]


def fused() -> Variant:
    (variant,) = (variant for variant in ffn.TECHNIQUE.variants() if variant.options["fused"])
    return variant


@cache
def costs() -> dict[str, Cost]:
    """The fused layer, forward and backward, in half precision."""
    return {cost.pass_: cost for cost in derive_variant(ffn.TECHNIQUE, fused(), "cpu")}


def test_kernels_do_what_the_interpreter_counts() -> None:
    """The launcher checks the values and gradients of each run, too."""
    modes = ("forward", "training", "both")
    calls = [("run", {**sizes, "mode": mode}) for sizes in SIZES for mode in modes]
    counted = iter(count_launches(Path(ffn_launchers.__file__), calls))
    for sizes in SIZES:
        forward, training, both = (next(counted) for _ in modes)
        backward = {kind: both[kind] - training[kind] for kind in ("load", "store")}
        for cost, truth in ((costs()["forward"], forward), (costs()["backward"], backward)):
            assert launched(cost, sizes) == {kind: truth.get(kind, 0) for kind in AMOUNTS}


def launched(cost: Cost, sizes: dict[str, int]) -> dict[str, int]:
    """What the kernels of a pass do, torch's own operations left out."""
    operations = [operation.amounts for operation in cost.operations if operation.launch]
    assert operations
    return {
        kind: sum(int(amounts[name].evaluate(sizes)) for amounts in operations if name in amounts)
        for kind, name in AMOUNTS.items()
    }


@pytest.mark.parametrize("sizes", SIZES)
def test_matrix_products_are_those_of_plain_torch(sizes: dict[str, int]) -> None:
    """And the mathematics asks for no others."""
    inputs = {name: torch.randn(shape, requires_grad=True) for name, shape in shapes(sizes).items()}
    with FlopCounterMode(display=False) as forward:
        out = ffn.feed_forward(**inputs, activation="swiglu")
    with FlopCounterMode(display=False) as backward:
        torch.autograd.grad(out, list(inputs.values()), torch.ones_like(out))
    for pass_, counter in (("forward", forward), ("backward", backward)):
        for quantity in ("matmul_flops", "algorithmic_flops"):
            assert costs()[pass_].quantities[quantity].exact.evaluate(sizes) == counter.get_total_flops()


def shapes(sizes: dict[str, int]) -> dict[str, tuple[int, ...]]:
    b, n, d, f = (sizes[name] for name in ("b", "n", "d", "f"))
    return {"x": (b, n, d), "w_1": (f, d), "w_2": (d, f), "w_gate": (f, d)}


def test_memory_is_what_the_allocator_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real launcher on a CPU, with kernels that do nothing: what is allocated and kept does not depend on them."""
    monkeypatch.setattr(gated, "check_tensors", lambda *_, **__: None)
    monkeypatch.setattr(JITFunction, "run", lambda *_, **__: None)

    def arguments(sizes: dict[str, int], training: bool) -> dict[str, Any]:
        made = {name: torch.randn(shape).bfloat16() for name, shape in shapes(sizes).items()}
        return {name: tensor.requires_grad_(training) for name, tensor in made.items()}

    for sizes in ({"b": 2, "n": 50, "d": 64, "f": 200}, {"b": 1, "n": 300, "d": 32, "f": 96}):
        forward = peak_of_forward(fused().subject.function, lambda s=sizes: arguments(s, False))
        backward = peak_of_backward(fused().subject.function, lambda s=sizes: arguments(s, True))
        for pass_, peak in (("forward", forward), ("backward", backward)):
            assert abs(costs()[pass_].quantities["peak_bytes"].exact.evaluate(sizes) - peak) <= 64, (pass_, sizes)
