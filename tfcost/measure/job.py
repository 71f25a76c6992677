"""What the measuring process is asked to do, as a file; and what it tells while it works, a line of JSON per event."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tfcost.evidence.record import Case

Event = dict[str, Any]
Profiled = Literal["", "passes", "kernels", "instructions"]


@dataclass(frozen=True, slots=True)
class Job:
    """Cases by number, and what to do with each: run it for memory (and time); under the profiler, which counts whole
    passes, single kernels, or instructions of single kernels (`profiled`); or once to compile its kernels and list them
    (`listing`).

    `ceilings` asks for what the GPU does at best, `self_test` for products and copies of known size, in place of cases.
    """

    log: Path
    cases: Mapping[int, Case]
    profiled: Profiled = ""
    listing: bool = False
    timing: bool = True
    ceilings: bool = False
    self_test: bool = False

    def write(self, path: Path) -> None:
        """Writes the job to `path`."""
        cases = {place: asdict(case) for place, case in self.cases.items()}
        path.write_text(json.dumps({**asdict(self), "log": str(self.log), "cases": cases}), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Job":
        """The job in `path`."""
        data = json.loads(path.read_text(encoding="utf-8"))
        cases = {int(place): Case(**case) for place, case in data["cases"].items()}
        return cls(**{**data, "log": Path(data["log"]), "cases": cases})


class Log:
    """Writes events. Each is on disk before the next thing is done, so that a crash leaves all that came before."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("a", encoding="utf-8")

    def tell(self, event: str, **facts: object) -> None:
        """One event."""
        self._stream.write(json.dumps({"event": event, **facts}) + "\n")
        self._stream.flush()


class LogReader:
    """Reads the events of a log that is still being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def events(self) -> Iterator[Event]:
        """The events that were written since the last call; a line that is not whole yet is left for the next."""
        if not self._path.exists():
            return
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            content = stream.read()
        whole = content.rfind(b"\n") + 1
        self._offset += whole
        for line in content[:whole].splitlines():
            yield json.loads(line)


def chunks(places: Sequence[int], weights: Mapping[int, int], most: int) -> Iterator[list[int]]:
    """`places` in groups that weigh at most `most`, or are a single place."""
    group: list[int] = []
    for place in places:
        if group and sum(weights[one] for one in group) + weights[place] > most:
            yield group
            group = []
        group.append(place)
    if group:
        yield group
