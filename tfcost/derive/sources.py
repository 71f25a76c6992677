"""Which files a technique's costs come from: its module, and every technique and kernel module that this one uses.

In: the name of a technique. Out: SHA-256 per file, which the book keeps and by which evidence says what code ran.
"""

import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tfcost.derive.discovery import techniques

_FOLDERS = {"tfcost.techniques": "tfcost/techniques", "tfcost_kernels": "kernels"}


@cache
def source_digests(technique: str) -> dict[str, str]:
    """SHA-256 by path, "kernels/flash/tiles.py", of all files whose code a technique may run."""
    return {path: hashlib.sha256(file.read_bytes()).hexdigest() for path, file in sorted(_files(_module_of(technique)))}


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
