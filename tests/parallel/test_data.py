"""Data parallelism and ZeRO run for real on 2 and 4 processes, and torch's own on the same model."""

import pytest
from parallel.data_cases import LAYERS, WEIGHTS, torch_ddp, torch_fsdp, train
from parallel.processes import Processes

from tfcost.derive.costs import derive_variant
from tfcost.techniques.parallel.data import TECHNIQUE

# What a part of the model exchanges in one step, by stage.
EXCHANGES = {0: ["mean gradient"], 1: ["gradient shard", "updated weights"], 2: ["gradient shard", "updated weights"],
             3: ["gathered weights", "gathered weights", "gradient shard"]}  # fmt: skip


def _derived(stage: int, count: int) -> dict[str, tuple[int, int]]:
    """(bytes, calls) of each collective in a step of all parts."""
    variants = {str(one.options["part"]): one for one in TECHNIQUE.variants()}
    found: dict[str, tuple[int, int]] = {}
    for name in EXCHANGES[stage]:
        (cost,) = [one for one in derive_variant(TECHNIQUE, variants[name], "cpu") if "float32" in one.dtypes]
        for one in cost.communication:
            values = {"N": WEIGHTS, "D": count}
            size, calls = found.get(one.collective, (0, 0))
            more = LAYERS * int(one.bytes.evaluate(values)), LAYERS * int(one.calls.evaluate(values))
            found[one.collective] = (size + more[0], calls + more[1])
    return found


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_every_stage_trains_alike_and_exchanges_what_was_derived(stage: int, count: int, processes: Processes) -> None:
    for steps in processes.run(count, train, stage):
        assert steps == [_derived(stage, count)] * len(steps)


@pytest.mark.parametrize("count", [2, 4])
def test_torch_exchanges_the_same_bytes(count: int, processes: Processes) -> None:
    """In fewer calls: DDP fills buckets with the gradients of several parts."""
    for stage, function in ((0, torch_ddp), (3, torch_fsdp)):
        derived = {name: size for name, (size, _) in _derived(stage, count).items()}
        assert processes.run(count, function) == [derived] * count
