"""One run's results as they come: resumed from a file, and the file whole again after every case.

What was measured before by the same code on the same GPU with the same versions is kept and not done again.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tfcost.evidence.read import read_evidence
from tfcost.evidence.record import Case, Ceilings, Environment, Evidence, Measurement
from tfcost.evidence.write import write_evidence

TOO_LARGE = "not counted, too large for a profiler"
"""How the reason begins for a case that has no counters and will not get any."""

_PASSING = ("date", "sm_clock_mhz", "memory_clock_mhz")
"""What may differ between two runs in one environment."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a case must have to be complete, besides memory."""

    counters: bool
    timing: bool
    kernels: bool = True


@dataclass(frozen=True, slots=True)
class Lacks:
    """What is to be done for a case: list its kernels, run it for memory and time, count its passes, count its fp32
    instructions.
    """

    kernels: bool = False
    alone: bool = False
    passes: bool = False
    instructions: bool = False


class Session:
    """The evidence of a file, growing. `source_hash` gives that of a case's code."""

    def __init__(self, path: Path, environment: Environment, source_hash: Callable[[Case], str]) -> None:
        before = read_evidence(path) if path.exists() else Evidence((), (), ())
        self.path = path
        self._source_hash = source_hash
        self._environments = list(before.environments)
        self._ceilings = list(before.ceilings)
        self._found = {(one.environment, one.case.key): one for one in before.measurements}
        self.place = self._place_of(environment)

    def _place_of(self, environment: Environment) -> int:
        for place, known in enumerate(self._environments):
            if _lasting(known) == _lasting(environment):
                return place
        self._environments.append(environment)
        self._ceilings.append(None)
        return len(self._environments) - 1

    @property
    def ceilings(self) -> Ceilings | None:
        """Those of this environment, if they were measured."""
        return self._ceilings[self.place]

    def set_ceilings(self, ceilings: Ceilings) -> None:
        """Keeps and saves the ceilings of this environment."""
        self._ceilings[self.place] = ceilings
        self.save()

    def get(self, case: Case) -> Measurement | None:
        """What was measured of `case` here, by the code as it is now."""
        found = self._found.get((self.place, case.key))
        return found if found is not None and found.source_hash == self._source_hash(case) else None

    def lacks(self, case: Case, wanted: Wanted) -> Lacks:
        """What is still to be done for the case. One that failed is tried again."""
        found = self.get(case)
        if found is None or found.outcome == "failed":
            return Lacks(wanted.kernels, True, wanted.counters, wanted.counters)
        if found.outcome == "out of memory":
            return Lacks()
        counted = wanted.counters and not found.reason.startswith(TOO_LARGE)
        return Lacks(
            kernels=wanted.kernels and not found.kernels,
            alone=found.memory is None or (wanted.timing and found.timing is None),
            passes=counted and found.counters is None,
            instructions=counted and (found.counters is None or found.counters.fp32_fma is None),
        )

    def put(self, measurement: Measurement) -> None:
        """Keeps and saves a measurement in place of an earlier one of the same case."""
        hashed = replace(measurement, environment=self.place, source_hash=self._source_hash(measurement.case))
        self._found[self.place, measurement.case.key] = hashed
        self.save()

    def save(self) -> None:
        """Writes the file."""
        write_evidence(self.evidence(), self.path)

    def evidence(self) -> Evidence:
        """All that is known."""
        return Evidence(tuple(self._environments), tuple(self._ceilings), tuple(self._found.values()))


def _lasting(environment: Environment) -> dict[str, object]:
    return {name: value for name, value in asdict(environment).items() if name not in _PASSING}
