"""Which files a technique's costs come from: its module, and every technique and kernel module that this one uses.

In: the name of a technique. Out: SHA-256 per file, which the book keeps and by which evidence says what code ran. Only
code counts: a change of a comment or a docstring is none.
"""

import hashlib
import io
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tfcost.derive.discovery import techniques

_FOLDERS = {"tfcost.techniques": "tfcost/techniques", "tfcost_kernels": "kernels"}


@cache
def source_digests(technique: str) -> dict[str, str]:
    """SHA-256 by path, "kernels/flash/tiles.py", of the code of all files that a technique may run."""
    return {path: code_digest(file.read_text("utf-8")) for path, file in sorted(_files(_module_of(technique)))}


def code_digest(source: str) -> str:
    """SHA-256 of a module's text without comments, docstrings and empty lines; the same in every version of Python."""
    lines = source.splitlines()
    for first, last in reversed(list(_remarks(source))):
        for row in range(first[0] - 1, last[0]):
            begin = first[1] if row == first[0] - 1 else 0
            end = last[1] if row == last[0] - 1 else len(lines[row])
            lines[row] = lines[row][:begin] + lines[row][end:]
    code = "\n".join(line.rstrip() for line in lines if line.strip())
    return hashlib.sha256(code.encode()).hexdigest()


def _remarks(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where comments, and strings that are statements, begin and end: row from 1, column from 0."""
    begins = True
    waiting: tokenize.TokenInfo | None = None
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NEWLINE and waiting is not None:
            yield waiting.start, waiting.end
        if token.type == tokenize.COMMENT:
            yield token.start, token.end
        elif token.type != tokenize.NL:
            waiting = token if begins and token.type == tokenize.STRING else None
            begins = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)


def _module_of(technique: str) -> ModuleType:
    known = techniques()[technique]
    return next(module for name, module in list(sys.modules.items())
                if name.startswith("tfcost.techniques") and getattr(module, "TECHNIQUE", None) is known)  # fmt: skip


def _files(start: ModuleType) -> set[tuple[str, Path]]:
    """Path and file of `start` and of every module of ours that it uses, directly or through others."""
    waiting, seen = [start], {start.__name__}
    found = set()
    while waiting:
        module = waiting.pop()
        if module.__file__ is not None:
            found.add(_shown(module.__name__, Path(module.__file__)))
        for name in _used(module):
            if name not in seen and name in sys.modules:
                seen.add(name)
                waiting.append(sys.modules[name])
    return found


def _used(module: ModuleType) -> Iterator[str]:
    """Names of our modules that what a module holds comes from."""
    for value in list(vars(module).values()):
        name: Any = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(name, str) and name.startswith(tuple(_FOLDERS)):
            yield name


def _shown(name: str, file: Path) -> tuple[str, Path]:
    """A module's path as it lies in the repository, wherever it is installed."""
    package = next(package for package in _FOLDERS if name.startswith(package))
    inner = name.removeprefix(package).strip(".").replace(".", "/")
    ending = f"{inner}/__init__.py".lstrip("/") if file.name == "__init__.py" else f"{inner}.py"
    return f"{_FOLDERS[package]}/{ending}", file
