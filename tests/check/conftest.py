"""A scratch repository whose targets are derived once, the command, and one server for all that is derived."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tfcost.check.client import Server
from tfcost.cli.app import app

REPOSITORY = {
    "mine.py": """\
import torch


def attend(q, k):
    scores = q @ k.transpose(-2, -1)
    return torch.softmax(scores, dim=-1) @ k
""",
    "tfcost.yaml": """\
targets:
  attention:
    function: mine.py:attend
    dims: [b, n, d]
    shapes: {q: "b,n,d", k: "b,n,d"}
    passes: [forward, backward]
    contract:
      - time: n**2*d
      - memory: n**2 + n*d
      - forward matmul_flops <= 4*b*n**2*d
""",
}


class _Shared(Server):
    """One server for all tests of a process: starting one takes longer than most of them."""

    def close(self, at_once: bool = False) -> None:
        pass


@pytest.fixture(scope="session", autouse=True)
def one_server() -> Iterator[None]:
    running: list[_Shared] = []

    def started(paths: tuple[str, ...] = ()) -> _Shared:
        if not running:
            running.append(_Shared(paths))
        return running[0]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tfcost.check.deriver.Server", started)
        yield
    for server in running:
        Server.close(server)


@pytest.fixture(scope="session")
def derived_repository(one_server: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a lock file, and everything derived before."""
    folder = tmp_path_factory.mktemp("repository")
    for name, text in REPOSITORY.items():
        (folder / name).write_text(text)
    result = CliRunner().invoke(app, ["check", "--config", str(folder / "tfcost.yaml"), "--update", "-q"])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def repository(derived_repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to work in; nothing in it has to be derived again before it is changed."""
    place = tmp_path / "work"
    shutil.copytree(derived_repository, place)
    monkeypatch.chdir(place)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return place


@pytest.fixture
def check() -> Callable[..., Result]:
    """Runs `tfcost check` in this process."""
    return lambda *arguments: CliRunner().invoke(app, ["check", *arguments])
