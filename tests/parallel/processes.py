"""Four processes with gloo that wait for work: `Processes.run(count, function, *arguments)` runs it on the first
`count` of them, as ranks of one group, and returns what each gave back.

They find each other through a file, so no port is needed. A process that fails or takes too long ends all of them.
"""

import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

COUNT = 4
SECONDS = 120


class Processes:
    def __init__(self, folder: Path) -> None:
        self._folder, self._starts = folder, 0
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []

    def _start(self) -> None:
        context, self._starts = mp.get_context("spawn"), self._starts + 1
        meeting = str(self._folder / f"meeting {self._starts}")
        for rank in range(COUNT):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(rank, meeting, there), daemon=True)
            process.start()
            self._pipes.append(here)
            self._processes.append(process)

    def run(self, count: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        if not self._pipes:
            self._start()
        for pipe in self._pipes:
            pipe.send((count, function, arguments))
        found = []
        for rank, pipe in enumerate(self._pipes):
            if not pipe.poll(SECONDS):
                self.close()
                raise AssertionError(f"rank {rank} of {function.__name__} gave no answer in {SECONDS} s")
            failure, result = pipe.recv()
            if failure:
                self.close()
                raise AssertionError(f"rank {rank} of {function.__name__}:\n{failure}")
            found.append(result)
        return found[:count]

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
            process.join(SECONDS)
        self._pipes, self._processes = [], []


def _serve(rank: int, meeting: str, pipe: Connection) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=COUNT, timeout=timedelta(seconds=SECONDS)
    )
    groups = {count: dist.new_group(list(range(count))) for count in (1, 2, 4)}
    while True:
        try:
            count, function, arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(("", function(groups[count], *arguments) if rank < count else None))
        except Exception:
            pipe.send((traceback.format_exc(), None))
