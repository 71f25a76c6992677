"""Pipelines run for real on 2 and 4 processes: gradients, messages, micro-batches in flight, memory of a stage."""

import pytest
from parallel.pipeline_cases import ROWS, WIDTH, peak_alone, trained
from parallel.processes import Processes
from parallel.test_models import GPT, TOLERANCE, book

from tfcost.analysis.parallel import compose_parallel
from tfcost.book import Book, load_book
from tfcost.config.load import make_config
from tfcost.cost import IN_FLIGHT

pytestmark = pytest.mark.slow  # every case starts processes that train a model in stages

__all__ = ["book"]


@pytest.mark.parametrize(("stages", "micro_batches"), [(2, 1), (2, 2), (2, 5), (4, 1), (4, 3), (4, 4), (4, 6)])
def test_a_stage_passes_on_and_keeps_what_was_derived(stages: int, micro_batches: int, processes: Processes) -> None:
    numbers = "many" if micro_batches >= stages else "few"
    for rank, found in enumerate(processes.run(stages, trained, micro_batches)):
        place = "last" if rank == stages - 1 else ("first", "second", "second")[rank]
        cost = load_book().find("pipeline", scope="stage", pass_="forward", dtype="float32", values={},
                                variant={"place": place, "micro_batches": numbers})  # fmt: skip
        values = {"Q": stages, "A": micro_batches, "z": ROWS * WIDTH}
        derived = {one.collective: (one.bytes.evaluate(values), one.calls.evaluate(values))
                   for one in cost.communication}  # fmt: skip
        assert found["sent"] == derived
        if rank != 2:  # the second stage of all between the ends keeps most
            assert found["in flight"] == cost.composition[IN_FLIGHT].evaluate(values)


@pytest.mark.parametrize(("stages", "micro_batches"), [(2, 1), (2, 2), (2, 3), (4, 2), (4, 6)])
def test_a_stage_needs_the_memory_that_was_composed(stages: int, micro_batches: int, book: Book) -> None:
    fields = {**GPT, "L": 2 * stages, "b": 2 * micro_batches, "dtype": "float32"}
    split = {"pipeline": stages, "micro_batches": micro_batches}
    config = make_config({**fields, "parallelism": split}, book.names)
    assert config.parallelism is not None
    cost = compose_parallel(config, config.parallelism, book)
    for stage in cost.stages:
        place = {"first": 0, "second": 1, "last": stages - 1}[stage.place]
        peak = peak_alone(fields, stages, micro_batches, place)
        assert abs(int(stage.peak.evaluate(cost.values)) - peak) <= TOLERANCE, (stage.place, stage.moment)
