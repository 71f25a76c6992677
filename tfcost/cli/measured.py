"""What `tfcost check --measure` runs on the GPU: the cases of the targets that are techniques, and what is slower.

Cases that seem slower than the baseline are measured again before they are called so.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfcost.book import Book, load_book
from tfcost.check.baseline import RUNS, baseline_path, findings, worse
from tfcost.check.finding import Finding
from tfcost.check.run import Derived, Target
from tfcost.errors import UserError
from tfcost.evidence.read import read_evidence
from tfcost.evidence.record import Case, Evidence
from tfcost.evidence.write import write_evidence

Measure = Callable[[Sequence[Case], Path], None]
"""Measures cases and leaves the evidence in a file."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of all cases, which of them belong to which target, and what is worse than the baseline."""

    evidence: Evidence
    findings: tuple[Finding, ...] = ()


def measure_targets(derived: Derived, measure: Measure | None = None) -> Measured:
    """Measures the targets and compares them with the baseline, if there is one.

    UserError if no target can be measured; CannotMeasure on a machine that cannot, or for a baseline of another GPU.
    """
    measure = measure or _on_gpu
    cases = {target.name: _cases(target, load_book()) for target in derived.targets}
    every = {case.key: case for found in cases.values() for case in found}
    if not every:
        raise UserError("--measure: no target is a technique that can be measured")
    with tempfile.TemporaryDirectory(prefix="tfcost-measure-") as folder:
        first = _run(measure, tuple(every.values()), Path(folder, "0.json"))
        path = baseline_path(derived.path)
        if not path.is_file():
            return Measured(first)
        baseline = read_evidence(path)
        suspects = {one.measurement.case.key for one in worse(baseline, [first])}
        again = [every[key] for key in suspects]
        runs = [first, *(_run(measure, again, Path(folder, f"{turn}.json")) for turn in range(1, RUNS) if again)]
    found: list[Finding] = []
    for target in derived.targets:
        tolerance = {**derived.config.tolerance, **target.config.tolerance}
        own = {case.key for case in cases[target.name]} & suspects
        found += findings(
            target.name, [one for one in worse(baseline, runs, tolerance) if one.measurement.case.key in own]
        )
    return Measured(first, tuple(found))


def write_baseline(derived: Derived, measured: Measured) -> Path:
    """Keeps the run as the baseline; an interrupted write leaves the old one whole."""
    path = baseline_path(derived.path)
    write_evidence(measured.evidence, path)
    return path


def _run(measure: Measure, cases: Sequence[Case], path: Path) -> Evidence:
    measure(cases, path)
    return read_evidence(path)


def _cases(target: Target, book: Book) -> tuple[Case, ...]:
    """The plan's cases of the target's variant, passes and dtype."""
    from tfcost.measure.plan import Selection, make_plan

    config = target.config
    if config.technique is None:
        return ()
    selection = Selection(
        techniques=(config.technique,), lengths=tuple(size for name, size in config.sizes.items() if name == "n"),
        dtypes=(config.dtype,), options={name: str(value).lower() for name, value in config.options.items()},
        widths=(config.d_h,) if config.d_h else (),
    )  # fmt: skip
    return tuple(case for case in make_plan(book, selection).cases if case.pass_ in config.passes)


def _on_gpu(cases: Sequence[Case], path: Path) -> None:
    from tfcost.measure.command import Settings, measure

    measure(cases, load_book(), Settings(output=path, counters=False, ceilings=False, kernels=False))
