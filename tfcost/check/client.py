"""The command's end of `tfcost.check.server`: started once, given jobs, asked for what ended."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import tfcost
from tfcost.check.job import Job
from tfcost.errors import UserError


class Server:
    """The running program; `paths` are searched for what targets import, before what is installed.

    UserError on a system without fork.
    """

    def __init__(self, paths: Iterable[str] = ()) -> None:
        if not hasattr(os, "fork"):
            raise UserError("tfcost check needs a system with fork, such as Linux or macOS")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tfcost.check.server"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment_of_targets(paths),
        )  # fmt: skip

    def submit(self, job: Job, stem: str, folder: Path) -> None:
        """Begins `job`, whose results go to files of `folder` that begin with `stem`."""
        assert self._process.stdin is not None
        request = {"stem": stem, "folder": str(folder.resolve()), "job": job.text}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def next_ended(self) -> tuple[str, str]:
        """(stem, how it ended: "" by itself) of a job, waited for. UserError if the server itself has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise UserError(f"the process that derives ended by itself (exit code {self._process.wait()})")
        answer = json.loads(line)
        return answer["stem"], answer["ended"]

    def close(self, at_once: bool = False) -> None:
        """Ends it, and with it whatever still runs."""
        if at_once:
            self._process.terminate()
        # With stdin at its end the server ends as well.
        self._process.communicate()


def environment_of_targets(paths: Iterable[str] = ()) -> dict[str, str]:
    """A target sees no GPU, whether there is one or not: the same result on every machine."""
    here = str(Path(tfcost.__file__).parents[1])
    searched = filter(None, [*paths, os.environ.get("PYTHONPATH", ""), here])
    kept = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    return {**kept, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(searched)}
