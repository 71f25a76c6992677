"""A function of the user's, named and described on the command line: its file, sizes, shapes and arguments."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tfcost.derive.command import derive_function
from tfcost.derive.subject import Size, Tensor
from tfcost.derive.target import load_function, subject_of
from tfcost.errors import UserError

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("mine", "beside_mine", "user_torch"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def write_file(text: str) -> Path:
        path = tmp_path / "mine.py"
        path.write_text(text)
        return path

    return write_file


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        ("", "mine.py", "'mine.py' is not FILE.py:FUNCTION"),
        ("", "mine.py:", "'mine.py:' is not FILE.py:FUNCTION"),
        ("", "yours.py:f", "yours.py: no such file"),
        ("", ".:f", ".: no such file"),
        ("def attend(x):\n    return x\n", "mine.py:atend", "mine.py: no function 'atend'; did you mean 'attend'?"),
        ("size = 3\n", "mine.py:size", "mine.py: 'size' is int, not a function"),
        ("x = 1\n\ndef f(:\n", "mine.py:f", "mine.py:3: importing it failed: SyntaxError: "),
        (
            "import torch\nnope()\n",
            "mine.py:f",
            "mine.py:2: importing it failed: NameError: name 'nope' is not defined",
        ),
        (
            "import no_such_module\n",
            "mine.py:f",
            "mine.py:1: importing it failed: ModuleNotFoundError: No module named",
        ),
        ("import sys\nsys.exit(3)\n", "mine.py:f", "mine.py:2: importing it failed: SystemExit: 3"),
        ("\0", "mine.py:f", "mine.py"),
    ],
)
def test_a_file_or_function_that_cannot_be_had(write: Write, text: str, target: str, expected: str) -> None:
    write(text)
    with pytest.raises(UserError) as caught:
        load_function(target)
    assert str(caught.value).startswith(expected)


def test_a_file_without_python_in_its_name(write: Write, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("def f(x):\n    return x\n")
    with pytest.raises(UserError, match=r"notes\.txt: not a Python file"):
        load_function("notes.txt:f")


def test_a_file_beside_it_can_be_imported(write: Write, tmp_path: Path) -> None:
    (tmp_path / "beside_mine.py").write_text("def twice(x):\n    return x + x\n")
    write("from beside_mine import twice\n\ndef f(x):\n    return twice(x)\n")
    (cost,) = derive_function("mine.py:f", ["n"], ["x=n"], [], "float32", ["forward"])
    assert [operation.location for operation in cost.operations] == ["beside_mine.py:2"]


def test_a_file_that_is_called_like_a_module(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "torch.py"
    path.write_text("def f(x):\n    return x\n")
    assert load_function(f"{path}:f").__module__ == "user_torch"
    assert sys.modules["torch"] is torch


def example(x: Any, y: Any = None, *, causal: bool = False) -> Any:
    return x


@pytest.mark.parametrize(
    ("dims", "shapes", "arguments", "expected"),
    [
        ("n n", "x=n", "", "--dim n: 'n' is given twice"),
        ("n n=3", "x=n", "", "--dim n=3: 'n' is given twice"),
        ("2n", "x=n", "", "--dim 2n: '2n' is not a name"),
        ("n=0", "x=n", "", "--dim n=0: "),
        ("n=-1", "x=n", "", "--dim n=-1: "),
        ("n=1.5", "x=n", "", "--dim n=1.5: "),
        ("n=nan", "x=n", "", "--dim n=nan: "),
        ("n=", "x=n", "", "--dim n=: "),
        ("n", "x", "", "--shape x: expected NAME=VALUE"),
        ("n", "x=", "", "--shape x=: expected NAME=VALUE"),
        ("n", "=n", "", "--shape =n: expected NAME=VALUE"),
        ("n", "x=n x=n", "", "--shape x=n: 'x' is given twice"),
        ("heads", "x=head", "", "--shape x=head: 'head' is no --dim; did you mean 'heads'?"),
        ("n", "x=n,,n", "", "--shape x=n,,n: "),
        ("n", "x=n:weight", "", "--shape x=n:weight: unknown role 'weight'; known: index, input, parameter"),
        ("n", "x=n:paramter", "", "--shape x=n:paramter: unknown role 'paramter'; did you mean 'parameter'?"),
        ("n", "x=__import__('os')", "", "--shape x=__import__('os'): "),
        ("n", "x=n", "causal", "--arg causal: expected NAME=VALUE"),
        ("n", "x=n", "x=3", "--arg x=3: 'x' is given twice"),
        ("n", "x=n", "causl=true", "example has no parameter 'causl'; did you mean 'causal'?"),
        ("n", "y=n", "", "example needs x: give --shape x=… or --arg x=…"),
    ],
)
def test_options_that_describe_nothing(dims: str, shapes: str, arguments: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        subject_of(example, dims.split(), shapes.split(), arguments.split())
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True), ("False", False), ("none", None), ("3", 3), ("-2", -2), ("0.5", 0.5), ("1e-3", 0.001),
        ("relu", "relu"), ("torch.float16", torch.float16), ("torch.relu", "torch.relu"),
        ("n", Size("n")), ("k", Size("k")),
    ],
)  # fmt: skip
def test_plain_arguments(text: str, expected: object) -> None:
    subject = subject_of(example, ["n", "k=2"], ["x=n"], [f"y={text}"])
    assert subject.arguments["y"] == expected
    assert type(subject.arguments["y"]) is type(expected)


def test_the_subject_says_what_was_described() -> None:
    subject = subject_of(example, ["n", "d=64", "c=1k"], ["x=n,d", "y=n:index"], ["causal=true"])
    assert subject.sizes == ("n",)
    assert subject.fixed == {"d": 64, "c": 1024}
    assert subject.arguments == {"x": Tensor("n,d"), "y": Tensor("n", "index"), "causal": True}
