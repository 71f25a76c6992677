"""The walker's formulas against what Triton's interpreter counts: equal to the byte at every size, odd ones too."""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
from derive.ttir import kernels
from derive.ttir.subjects import SUBJECTS, symbol_values
from oracles.evaluation import evaluate
from oracles.interpreter import count_launches

from tfcost.derive.offline import ttir_text
from tfcost.derive.ttir.kernel_cost import KernelCost
from tfcost.derive.ttir.walk import walk_kernel

KINDS = ("dot", "load", "store", "atomic")


@pytest.fixture(scope="module")
def counted() -> dict[str, list[dict[str, int]]]:
    """What the interpreter counts for every case of every subject; three processes share the work."""
    groups: dict[tuple[str, int], list[str]] = defaultdict(list)
    for position, (name, subject) in enumerate(SUBJECTS.items()):
        groups[subject.path, position % 2 if subject.path == kernels.__file__ else 0].append(name)

    def run(path: str, names: list[str]) -> list[dict[str, int]]:
        return count_launches(Path(path), [(SUBJECTS[n].launcher, case) for n in names for case in SUBJECTS[n].cases])

    found: dict[str, list[dict[str, int]]] = {}
    with ThreadPoolExecutor() as pool:
        runs = [(names, pool.submit(run, path, names)) for (path, _), names in groups.items()]
        for names, counts in runs:
            results = iter(counts.result())
            for name in names:
                found[name] = [next(results) for _ in SUBJECTS[name].cases]
    return found


@cache
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
def test_elementwise_arithmetic_equals_interpreter(name: str, counted: dict[str, list[dict[str, int]]]) -> None:
    """The interpreter counts no reductions, so they are left out on both sides."""
    subject, cost = SUBJECTS[name], derive(name)
    elementwise = [
        event for event in cost.events if event.kind == "scalar" and event.operation not in ("tt.reduce", "tt.scan")
    ]
    for case, truth in zip(subject.cases, counted[name], strict=True):
        derived = sum(evaluate(event.amount, symbol_values(subject, case)) for event in elementwise)
        if any(event.bounded for event in elementwise):
            assert derived >= truth.get("float", 0), case
        else:
            assert derived == truth.get("float", 0), case


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
