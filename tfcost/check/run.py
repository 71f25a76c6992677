"""Runs a check: configuration file in; every target derived, judged by its contract and compared with the lock; out
come the findings.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import tfcost
from tfcost.check.accuracy import accuracy
from tfcost.check.config import CheckConfig, TargetConfig, load_check, lock_path
from tfcost.check.deriver import CACHE, Deriver, Outcome, Progress
from tfcost.check.drift import drift, lines_of
from tfcost.check.finding import CHECKS, CheckResult, Finding, worst_first
from tfcost.check.job import Job
from tfcost.check.judge import judge
from tfcost.check.lock import Line, Lock, read_lock
from tfcost.check.sight import Sight
from tfcost.config.yaml_file import YamlFile
from tfcost.errors import UserError, nearest
from tfcost.evidence.record import Evidence
from tfcost.formula import Formula


@dataclass(frozen=True)
class Target:
    """One target of the file: its configuration, and its passes as they were derived (none if that failed)."""

    name: str
    config: TargetConfig
    outcome: Outcome
    sights: tuple[Sight, ...] = ()

    @property
    def lines(self) -> dict[Line, Formula]:
        """What the lock file holds of it."""
        return lines_of(self.name, self.sights)


@dataclass(frozen=True)
class Derived:
    """The configuration, its file, and the targets that were asked for."""

    config: CheckConfig
    file: YamlFile
    targets: tuple[Target, ...]
    warning: str = ""

    @property
    def path(self) -> Path:
        """The configuration file."""
        return self.file.path

    @property
    def root(self) -> Path:
        """The folder that paths in it start from."""
        return self.file.path.resolve().parent


def derive_targets(
    path: Path, names: Collection[str] = (), keep: bool = True, processes: int | None = None,
    progress: Progress | None = None,
) -> Derived:  # fmt: skip
    """Derives the targets `names` (none: all) of the configuration `path`; with `keep`, from what earlier runs kept.

    UserError for a configuration that cannot be read or a name that is no target.
    """
    root = path.resolve().parent
    with Deriver(root / CACHE if keep else None, processes or os.cpu_count() or 1) as deriver:
        return derive_with(deriver, path, names, progress)


def derive_with(deriver: Deriver, path: Path, names: Collection[str] = (), progress: Progress | None = None) -> Derived:
    """The same by a deriver that is there already."""
    config, file = load_check(path)
    for name in names:
        if name not in config.targets:
            raise UserError(f"{path}: no target is called '{name}'{nearest(name, config.targets)}")
    chosen = {name: target for name, target in config.targets.items() if not names or name in names}
    root = path.resolve().parent
    jobs = [Job.of(name, target, config, str(root)) for name, target in chosen.items()]
    outcomes = deriver.derive(jobs, progress)
    targets = [_target(name, target, outcome) for (name, target), outcome in zip(chosen.items(), outcomes, strict=True)]
    return Derived(config, file, tuple(targets), deriver.warning)


def _target(name: str, config: TargetConfig, outcome: Outcome) -> Target:
    record = outcome.record
    if record is None:
        return Target(name, config, outcome)
    sights = tuple(
        Sight(
            cost, config.sizes, tuple(config.regime), config.technique is not None, record.defaults, tuple(config.dims)
        )
        for cost in record.costs
    )
    return Target(name, config, outcome, sights)


def run_check(
    derived: Derived, checks: Collection[str] = CHECKS, measured: Sequence[Evidence] = (), more: Sequence[Finding] = ()
) -> CheckResult:
    """Judges the derived targets by each of `checks`, with what was `measured` now; `more` findings are added.

    UserError if the lock file cannot be read.
    """
    lock = read_lock(lock_path(derived.path)) if "drift" in checks else Lock()
    findings: list[Finding] = list(more)
    compared = dict.fromkeys(checks, 0)
    for target in derived.targets:
        findings += _judged(derived, target, lock, compared, measured)
    if "drift" in checks:
        findings += _stale(derived, lock)
    if not compared.get("accuracy") and len(compared) > 1:
        # Nothing was measured of these targets, and nobody asked for that alone.
        compared.pop("accuracy", None)
    return CheckResult(
        worst_first(findings), tuple(target.name for target in derived.targets), compared, str(derived.root),
        str(derived.path), notes=_notes(derived, lock, findings),
    )  # fmt: skip


def _judged(
    derived: Derived, target: Target, lock: Lock, compared: dict[str, int], measured: Sequence[Evidence]
) -> Sequence[Finding]:
    """The findings about a target; one if it, or a line of its contract, is at fault itself. Adds to `compared` how
    much each of the checks in it looked at.
    """
    if target.outcome.error:
        return [fault(derived, target.name, target.outcome.error)]
    try:
        return _judged_by(derived, target, lock, compared, measured)
    except UserError as error:
        return [fault(derived, target.name, str(error))]


def _judged_by(
    derived: Derived, target: Target, lock: Lock, compared: dict[str, int], measured: Sequence[Evidence]
) -> Sequence[Finding]:
    findings: list[Finding] = []
    tolerance = {**derived.config.tolerance, **target.config.tolerance}
    if "contract" in compared:
        findings += judge(target.name, target.config.contract, target.sights)
        compared["contract"] += len(target.config.contract)
    if "drift" in compared:
        findings += drift(target.name, lock.of_target(target.name), target.sights, tolerance)
        compared["drift"] += sum(len(sight.cost.quantities) for sight in target.sights)
    if "accuracy" in compared and target.outcome.record is not None:
        agreement = accuracy(target.name, target.config, target.outcome.record, tolerance, measured)
        findings += agreement.findings
        compared["accuracy"] += agreement.cells
    return findings


def fault(derived: Derived, target: str, message: str) -> Finding:
    """The finding that a target cannot be checked, with its place in the file."""
    line = derived.file.lines.get(("targets", target), 1)
    first, *more = message.split("\n")
    place = f"{derived.path}:{line}"
    return Finding("target", target, f"{place}: target '{target}': {first}", details=tuple(more), location=place)


def _stale(derived: Derived, lock: Lock) -> list[Finding]:
    """Targets of the lock file that the configuration no longer has."""
    return [
        Finding(
            "drift",
            name,
            f"{name} is in the lock file but no target of {derived.path.name}; run 'tfcost check --update'",
        )
        for name in lock.targets
        if name not in derived.config.targets
    ]


def versions() -> dict[str, str]:
    """The versions that decide what a formula looks like, without their local parts ("2.13.0+cpu")."""
    found = {"tfcost": tfcost.__version__}
    for name in ("torch", "triton"):
        try:
            found[name] = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            continue
    return found


def _notes(derived: Derived, lock: Lock, findings: Sequence[Finding]) -> tuple[str, ...]:
    notes = [derived.warning] if derived.warning else []
    other = [f"{name} {lock.versions[name]}, now {version}" for name, version in versions().items()
             if lock.versions.get(name, version) != version]  # fmt: skip
    if other and any(finding.check == "drift" for finding in findings):
        notes.append(f"the lock file was written with {', '.join(other)}; the change may be theirs")
    return tuple(notes)
