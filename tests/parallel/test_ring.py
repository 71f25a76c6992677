"""Messages of ring collectives, ring attention and expert parallelism counted on 2 and 4 processes."""

from typing import Any

import pytest
from parallel.processes import Processes
from parallel.ring_cases import EXPERTS, HEADS, NUMBERS, attention, block_alone, collective, experts

from tfcost.book import Book, load_book
from tfcost.cost import Cost
from tfcost.techniques import decoder_attention, decoder_ffn

BOOK: Book = load_book()
# The profiler's own marker, and what the CPU's layer norm takes for its weights' gradients.
TOLERANCE = 64 + 2 * 4 * 24


def _derived(cost: Cost, values: dict[str, int]) -> dict[str, tuple[Any, Any]]:
    return {one.collective: (one.bytes.evaluate(values), one.calls.evaluate(values)) for one in cost.communication}


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("name", ["all_reduce", "all_gather", "reduce_scatter", "all_to_all"])
def test_collectives_of_messages(name: str, count: int, processes: Processes) -> None:
    cost = BOOK.find("ring-collectives", scope="collective", pass_="forward", dtype="float32", values={},
                     variant={"collective": name})  # fmt: skip
    derived = _derived(cost, {"G": count, "N": NUMBERS})
    assert processes.run(count, collective, name) == [derived] * count


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("causal", [False, True])
def test_ring_attention(causal: bool, count: int, processes: Processes) -> None:
    derived = [
        _derived(BOOK.find("context-parallel", scope="core", pass_=pass_, dtype="float32", values={},
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


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("name", list(decoder_ffn.EXPERTS))
def test_experts(name: str, count: int, processes: Processes) -> None:
    kind = decoder_ffn.EXPERTS[name]
    variant = {"shared": kind.shared, "gate": kind.gate, "expert_bias": kind.bias}
    derived = [
        _derived(BOOK.find("expert-parallel", scope="block", pass_=pass_, dtype="float32", values={}, variant=variant),
                 {**EXPERTS, "X": count})
        for pass_ in ("forward", "backward")
    ]  # fmt: skip
    assert processes.run(count, experts, name) == [derived] * count
