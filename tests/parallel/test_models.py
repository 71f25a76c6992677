"""Whole models split over GPUs: composed from derived parts against the same model run on processes."""

from typing import Any

import pytest
from parallel.model_cases import TECHNIQUES, alone, exchanged, parts_of
from parallel.processes import Processes

from tfcost.analysis.parallel import compose_parallel
from tfcost.book import Book, Provenance, TechniqueRecord, load_book, write_record
from tfcost.config.load import make_config
from tfcost.derive.costs import derive_variant
from tfcost.derive.technique import Technique
from tfcost.techniques.parallel import data, ring

TOLERANCE = 64 + 2 * 4 * 16
GPT = {"name": "gpt", "n": 12, "b": 4, "d": 16, "h": 4, "L": 3, "V": 40, "positions": "learned", "max_positions": 16,
       "causal": True, "bias": True, "norm": "pre", "ffn": "gelu", "ffn_bias": True, "head": "untied"}  # fmt: skip
TIED = {**GPT, "head": "tied", "V": 200}
# (model, tensor, sequence, data, zero)
CASES = [
    (GPT, 1, False, 4, 0), (GPT, 1, False, 4, 1), (GPT, 1, False, 4, 2), (GPT, 1, False, 4, 3),
    (GPT, 4, False, 1, 0), (GPT, 4, True, 1, 0), (TIED, 1, False, 4, 0), (TIED, 2, True, 2, 1),
    (GPT, 2, False, 2, 1), (GPT, 2, True, 2, 2), (GPT, 2, True, 2, 3),
    ({**GPT, "L": 1, "n": 40, "max_positions": 40}, 2, True, 2, 3),
]  # fmt: skip


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """The parts that these models are made of, derived for the CPU (no workspace), as a book of their own."""
    folder = tmp_path_factory.mktemp("book")
    needed: dict[str, dict[int, Any]] = {name: {} for name in TECHNIQUES}
    for _, tensor_gpus, sequence, _, _ in CASES:
        for _, variant in parts_of(GPT, tensor_gpus, sequence):
            for name, module in TECHNIQUES.items():
                for one in module.TECHNIQUE.variants():
                    if (one.options, one.subject.fixed, one.scope) == (variant.options, {}, variant.scope):
                        needed[name].setdefault(hash(str(one.options)), one)
    for name, variants in needed.items():
        write_record(_record(TECHNIQUES[name].TECHNIQUE, list(variants.values())), folder)
    write_record(_record(data.TECHNIQUE, list(data.TECHNIQUE.variants())), folder)
    write_record(_record(ring.TECHNIQUE, list(ring.TECHNIQUE.variants())), folder)
    write_record(load_book().record("pipeline"), folder)
    return Book(folder)


def _record(technique: Technique, variants: list[Any]) -> TechniqueRecord:
    costs = [cost for variant in variants for cost in derive_variant(technique, variant, "cpu")
             if "float32" in cost.dtypes]  # fmt: skip
    return TechniqueRecord(technique.name, technique.title, technique.section, technique.implementation,
                           technique.summary, technique.options, technique.defaults, technique.claims, Provenance(),
                           tuple(costs))  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]['head']}-" + "-".join(map(str, case[1:])))
def test_composed_equals_run(case: tuple[Any, ...], book: Book, processes: Processes) -> None:
    fields, tensor_gpus, sequence, data_gpus, zero = case
    split = {"tensor": tensor_gpus, "sequence": sequence, "data": data_gpus, "zero": zero}
    config = make_config({**fields, "dtype": "float32", "parallelism": split}, book.names)
    assert config.parallelism is not None
    cost = compose_parallel(config, config.parallelism, book)
    (stage,) = cost.stages
    derived = {(one.collective, one.group): (one.bytes.evaluate(cost.values), one.calls.evaluate(cost.values))
               for one in stage.exchanges}  # fmt: skip
    for found in processes.run(tensor_gpus * data_gpus, exchanged, *case):
        assert _plain_bytes(found) == _plain_bytes(derived)
    flops, peak = alone(*case)
    assert stage.matmul_flops.evaluate(cost.values) == flops
    assert abs(int(stage.peak.evaluate(cost.values)) - peak) <= TOLERANCE, stage.moment


def _plain_bytes(exchanges: dict[tuple[str, str], Any]) -> dict[tuple[str, str], int]:
    """Without the number of calls: a part's gradients may be averaged one weight after the other."""
    return {key: int(size) for key, (size, _) in exchanges.items()}
