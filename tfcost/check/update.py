"""Accepts what is derived now: writes the lock file anew and says which formulas it changes.

Refused while a target cannot be derived, or a kernel does not compute what its reference does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tfcost.check.agree import disagreement
from tfcost.check.client import environment_of_targets
from tfcost.check.config import lock_path
from tfcost.check.drift import shortened
from tfcost.check.equal import same
from tfcost.check.job import Job
from tfcost.check.lock import Line, Lock, read_lock, write_lock
from tfcost.check.run import Derived, Target, fault, versions
from tfcost.errors import UserError
from tfcost.formula import Formula


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the lock file that is written, dropped (`new` is "") or changed, both sides in their short form."""

    line: Line
    old: str
    new: str

    @property
    def text(self) -> str:
        """The change as a diff of one formula."""
        sides = [f"  {sign} {side}" for sign, side in (("-", self.old), ("+", self.new)) if side]
        return "\n".join(["/".join(self.line), *sides])


@dataclass(frozen=True, slots=True)
class Update:
    """The formulas that changed, and why nothing was written (empty: it was)."""

    path: Path
    changes: tuple[Change, ...]
    refusals: tuple[str, ...] = ()


def update(derived: Derived) -> Update:
    """Writes the lock file for the derived targets; the lines of other targets stay as they are.

    UserError if a target could not be derived or the file cannot be written.
    """
    for target in derived.targets:
        if target.outcome.error:
            raise UserError(f"nothing is written: {fault(derived, target.name, target.outcome.error).message}")
    path = lock_path(derived.path)
    refusals = tuple(refusal for target in derived.targets for refusal in _refusals(derived, target))
    old = _old_lock(path)
    new = _new_formulas(derived, old)
    changes = tuple(_changes(old.formulas, new, derived))
    if not refusals:
        write_lock(path, Lock(new, versions()))
    return Update(path, changes, refusals)


def _refusals(derived: Derived, target: Target) -> Iterator[str]:
    if target.config.reference is None:
        return
    job = Job.of(target.name, target.config, derived.config, str(derived.root))
    if reason := disagreement(job, environment_of_targets()):
        yield f"{target.name} {reason}"


def _old_lock(path: Path) -> Lock:
    """What is there: nothing, or what can be read. A file of another version or a broken one is replaced as a whole."""
    try:
        return read_lock(path)
    except UserError:
        return Lock()


def _new_formulas(derived: Derived, old: Lock) -> dict[Line, Formula]:
    """The targets in the order of the configuration."""
    fresh = {target.name: target.lines for target in derived.targets}
    found: dict[Line, Formula] = {}
    for name in derived.config.targets:
        found |= fresh.get(name, old.of_target(name))
    return found


def _changes(old: Mapping[Line, Formula], new: Mapping[Line, Formula], derived: Derived) -> Iterator[Change]:
    """Quantities only; what they are made of is in the file."""
    sights = {(target.name, sight.cost.pass_): sight for target in derived.targets for sight in target.sights}

    def short(line: Line, formula: Formula | None) -> str:
        sight = sights.get((line[0], line[1]))
        return shortened(formula, sight) if formula and sight else str(formula or "")

    for line in dict.fromkeys((*new, *old)):
        before, after = old.get(line), new.get(line)
        if len(line) == 3 and (before is None or after is None or not same(before, after)):
            yield Change(line, short(line, before), short(line, after))
