"""What the CPU allocator really did: peak and live bytes of a run, from torch.profiler's memory events.

Independent of the derivation: real tensors, real kernels, no dispatch mode.
"""

import gc
from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile, record_function

_MARK = "phase begins"


class AllocatorRun:
    """Allocations and frees between construction (`with`) and exit; `mark()` begins a phase."""

    def __enter__(self) -> "AllocatorRun":
        # What earlier runs left in cycles must not be released in this one.
        gc.disable()
        self._profile = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
        self._profile.__enter__()
        return self

    def mark(self) -> None:
        """A phase begins here."""
        with record_function(_MARK):
            pass

    def __exit__(self, *error: object) -> None:
        self._profile.__exit__(*error)
        gc.enable()

    def phases(self) -> list[tuple[int, int]]:
        """(bytes live at the start, most bytes live) per phase; the first phase begins at the start of the run."""
        kineto = self._profile.profiler.kineto_results
        events = sorted(kineto.events(), key=lambda event: event.start_ns())
        live, found = 0, [(0, 0)]
        for event in events:
            if event.name() == _MARK:
                found.append((live, live))
            elif event.name() == "[memory]":
                live += event.nbytes()
                start, most = found[-1]
                found[-1] = (start, max(most, live))
        return found


def peak_of_forward(function: Callable[..., Any], make_arguments: Callable[[], dict[str, Any]]) -> int:
    """Most bytes alive during function(**arguments), arguments included."""
    from tfcost.derive.harness import run_forward

    with AllocatorRun() as run:
        arguments = make_arguments()
        run.mark()
        result = run_forward(function, arguments)
    del result
    return run.phases()[-1][1]


def peak_of_backward(function: Callable[..., Any], make_arguments: Callable[[], dict[str, Any]]) -> int:
    """Most bytes alive during the backward pass; inputs, output and output gradient are held."""
    from tfcost.derive.harness import run_held

    with AllocatorRun() as run:
        arguments = make_arguments()
        run_held(function, arguments, lambda outputs: run.mark())
    return run.phases()[-1][1]
