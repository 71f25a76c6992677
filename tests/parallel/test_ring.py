"""Messages of ring collectives and expert parallelism counted on 2 and 4 processes."""

from typing import Any

import pytest
from parallel.processes import Processes
from parallel.ring_cases import EXPERTS, NUMBERS, collective, experts

from tfcost.book import Book, load_book
from tfcost.cost import Cost
from tfcost.techniques import decoder_ffn

BOOK: Book = load_book()


def derived_of(cost: Cost, values: dict[str, int]) -> dict[str, tuple[Any, Any]]:
    return {one.collective: (one.bytes.evaluate(values), one.calls.evaluate(values)) for one in cost.communication}


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("name", ["all_reduce", "all_gather", "reduce_scatter", "all_to_all"])
def test_collectives_of_messages(name: str, count: int, processes: Processes) -> None:
    cost = BOOK.find("ring-collectives", scope="collective", pass_="forward", dtype="float32", values={},
                     variant={"collective": name})  # fmt: skip
    derived = derived_of(cost, {"G": count, "N": NUMBERS})
    assert processes.run(count, collective, name) == [derived] * count


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("name", list(decoder_ffn.EXPERTS))
def test_experts(name: str, count: int, processes: Processes) -> None:
    kind = decoder_ffn.EXPERTS[name]
    variant = {"shared": kind.shared, "gate": kind.gate, "expert_bias": kind.bias}
    derived = [
        derived_of(BOOK.find("expert-parallel", scope="block", pass_=pass_, dtype="float32", values={},
                             variant=variant),
                   {**EXPERTS, "X": count})
        for pass_ in ("forward", "backward")
    ]  # fmt: skip
    assert processes.run(count, experts, name) == [derived] * count
