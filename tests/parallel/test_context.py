"""Ring attention on 2 and 4 processes against what the book says of it; memory of a block around it."""

from typing import Any

import pytest
from parallel.processes import Processes
from parallel.ring_cases import HEADS, attention, block_alone
from parallel.test_ring import BOOK, derived_of

from tfcost.techniques import decoder_attention

# The profiler's own marker, and what the CPU's layer norm takes for its weights' gradients.
TOLERANCE = 64 + 2 * 4 * 24
pytestmark = pytest.mark.skipif(
    "context-parallel" not in BOOK.names, reason="not in the book yet: 'tfcost derive context-parallel'"
)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("causal", [False, True])
def test_ring_attention(causal: bool, count: int, processes: Processes) -> None:
    derived = [
        derived_of(BOOK.find("context-parallel", scope="core", pass_=pass_, dtype="float32", values={},
                           variant={"part": "core", "causal": causal}), {**HEADS, "C": count})
        for pass_ in ("forward", "backward")
    ]  # fmt: skip
    assert processes.run(count, attention, causal) == [derived] * count


@pytest.mark.parametrize("count", [3, 5])
@pytest.mark.parametrize(
    "options",
    [
        {"part": "attention", "causal": True, "norm": "pre", "bias": True},
        {"part": "attention", "causal": False, "norm": "post", "bias": True},
        {"part": "decoder attention", **decoder_attention.KINDS["qwen2"].options},
    ],
    ids=lambda options: options["part"] + str(options["norm"]),
)
def test_memory_of_a_block_around_the_ring(options: dict[str, Any], count: int) -> None:
    sizes = {**HEADS, "n": 8 * count, "d": 24, "C": count}
    found = [BOOK.find("context-parallel", scope="block", pass_=pass_, dtype="float32", values={}, variant=options)
             for pass_ in ("forward", "backward")]  # fmt: skip
    size = {name: int(one.evaluate(sizes)) for cost in found for name, one in cost.composition.items()}
    given = size["given_bytes"] - int(found[0].composition["input_bytes"].evaluate(sizes))
    forward = given + size["input_bytes"] + size["forward_local_bytes"]
    backward = given + size["saved_bytes"] + size["output_bytes"] + size["backward_local_bytes"]
    for derived, real in zip((forward, backward), block_alone(options, sizes), strict=True):
        assert abs(derived - real) <= TOLERANCE
