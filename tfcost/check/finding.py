"""What a check finds: one promise broken, one formula changed, one target that cannot be had. Reporters read these."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CHECKS = ("contract", "drift", "accuracy")
"""The three independent checks."""

Check = Literal["contract", "drift", "accuracy", "target"]
Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Cause:
    """A part of a cost that the finding comes from: `operation` in `step`, at `location` ("path.py:line", "" if it is
    gone) with the text of that line, and what it cost and costs, in words ("": nothing).
    """

    step: str
    operation: str
    location: str
    code: str
    old: str
    new: str

    @property
    def text(self) -> str:
        """The cause in one line."""
        place = f" ({self.location})" if self.location else ""
        change = f"{self.old or 'nothing'} -> {self.new or 'nothing'}" if self.old else self.new
        return f"{self.step}: {self.operation}{place}: {change}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of `check` ("target": the target itself is at fault) about `quantity` of `target` in `pass_`.

    `message` is one line; `details` are more lines for those who want them. The worst have the largest `weight`.
    `location` is where the file says what is wrong, for what comes from no line of code.
    """

    check: Check
    target: str
    message: str
    level: Level = "error"
    pass_: str = ""
    quantity: str = ""
    details: tuple[str, ...] = ()
    causes: Sequence[Cause] = ()
    weight: float = 0.0
    location: str = ""

    @property
    def place(self) -> str:
        """What the finding is about: "attention/peak_bytes", "attention/backward/peak_bytes"."""
        pass_ = "" if self.pass_ == "forward" else self.pass_
        return "/".join(filter(None, (self.target, pass_, self.quantity)))


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Everything a run found, worst first, and what it looked at: `compared` counts what each check judged, `root` is
    the folder that locations are given from, `config` the configuration file.
    """

    findings: tuple[Finding, ...]
    targets: tuple[str, ...]
    compared: dict[str, int]
    root: str
    config: str
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """2 if a target is at fault, 1 if a check failed, else 0."""
        failed = {finding.check for finding in self.findings if finding.level == "error"}
        return 2 if "target" in failed else int(bool(failed))


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Errors before warnings; among them targets at fault first, then by weight."""
    return tuple(sorted(findings, key=lambda one: (one.level != "error", one.check != "target", -one.weight)))
