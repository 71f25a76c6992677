"""How far a run is, on stderr: a bar with the time left on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Any, Self

_EVERY = 10.0


class Progress:
    """`total` steps, told one by one. Used in a `with` block. `quiet` tells nothing."""

    def __init__(self, total: int, quiet: bool = False) -> None:
        self._total = total
        self._done = 0
        self._begun = self._told = time.monotonic()
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:  # fmt: skip  # noqa: E501
        if self._bar is not None:
            self._bar.stop()

    def step(self, what: str) -> None:
        """One more step is done, `what` it was."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, description=what)
        elif not self._quiet and (time.monotonic() - self._told > _EVERY or self._done == self._total):
            self._told = time.monotonic()
            print(f"{self._done} of {self._total}, {self._left()} left: {what}", file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """A line for itself."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def _left(self) -> str:
        """The time left if the other steps take as long as those before."""
        seconds = (time.monotonic() - self._begun) / self._done * (self._total - self._done)
        return f"{int(seconds // 60)} min {int(seconds % 60):02} s" if seconds >= 60 else f"{seconds:.0f} s"
