"""The walker's formulas against what Triton's interpreter counts: equal to the byte at every size, odd ones included."""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from derive.ttir.subjects import SUBJECTS, symbol_values
from oracles.interpreter import count_launches
from oracles.evaluation import evaluate

from tfcost.derive.offline import ttir_text
from tfcost.derive.ttir.kernel_cost import KernelCost
from tfcost.derive.ttir.walk import walk_kernel

KINDS = ("dot", "load", "store", "atomic")


@pytest.fixture(scope="module")
def counted() -> dict[str, list[dict[str, int]]]:
    """What the interpreter counts for every case of every subject; one process per file of kernels."""
    found: dict[str, list[dict[str, int]]] = {}
    by_path = defaultdict(list)
    for name, subject in SUBJECTS.items():
        by_path[subject.path].extend((name, subject.launcher, case) for case in subject.cases)
    with ThreadPoolExecutor() as pool:
        runs = {
            path: pool.submit(count_launches, Path(path), [(launcher, case) for _, launcher, case in calls])
            for path, calls in by_path.items()
        }
    for path, calls in by_path.items():
        for (name, _, _), result in zip(calls, runs[path].result(), strict=True):
            found.setdefault(name, []).append(result)
    return found


def derive(name: str) -> KernelCost:
    subject = SUBJECTS[name]
    text = ttir_text(subject.kernel, subject.signature, subject.constexprs)
    return walk_kernel(text, subject.arguments, subject.grid)


@pytest.mark.parametrize("name", SUBJECTS)
def test_equals_interpreter(name: str, counted: dict[str, list[dict[str, int]]]) -> None:
    subject, cost = SUBJECTS[name], derive(name)
    assert len(subject.cases) >= 20
    assert {event.kind for event in cost.events if event.bounded} - {"scalar"} == subject.bounded
    for case, truth in zip(subject.cases, counted[name], strict=True):
        values = symbol_values(subject, case)
        for kind in KINDS:
            derived = evaluate(cost.totals[kind], values)
            if kind in subject.bounded:
                assert derived >= truth.get(kind, 0), (kind, case)
            else:
                assert derived == truth.get(kind, 0), (kind, case)


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_tensor_equals_interpreter(name: str, counted: dict[str, list[dict[str, int]]]) -> None:
    subject, cost = SUBJECTS[name], derive(name)
    case, truth = subject.cases[-1], counted[name][-1]
    values = symbol_values(subject, case)
    derived: dict[str, int] = defaultdict(int)
    for event in cost.events:
        if event.tensor_argument:
            derived[f"{event.kind} {event.tensor_argument}"] += int(evaluate(event.amount, values))
    for key in {*derived, *(key for key in truth if " " in key)}:
        if key.split()[0] not in subject.bounded:
            assert derived.get(key, 0) == truth.get(key, 0), (key, case)
