"""What a derived cost depends on: the user's and the techniques' source files by content, everything else by version.

A result that was kept is good as long as both are what they were.
"""

import hashlib
import platform
import sys
import sysconfig
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import tfcost

_PACKAGE = Path(tfcost.__file__).parent
_STANDARD = Path(sysconfig.get_paths()["stdlib"])
_INSTALLED = tuple({Path(sysconfig.get_paths()[kind]) for kind in ("purelib", "platlib")})
# What counts: the derivation itself. Techniques are counted one by one, with the targets that use them.
_OWN = ("derive", "formula", "book", "check/derive.py", "check/sources.py", "cost.py", "declared.py", "steps.py")


def loaded_sources(root: Path) -> dict[str, str]:
    """SHA-256 of the source file of every module in this process that is neither installed nor a part of Python, and
    of tfcost's own techniques and kernels; files under `root` by their path from there.
    """
    found = {}
    for name, module in list(sys.modules.items()):
        text = getattr(module, "__file__", None)
        # Modules that torch makes up have the names of files that are nowhere.
        if isinstance(text, str) and text.endswith(".py") and Path(text).is_absolute() and _counts(name, Path(text)):
            path = Path(text).resolve()
            inside = path.is_relative_to(root.resolve())
            found[str(path.relative_to(root.resolve()) if inside else path)] = digest(path)
    return dict(sorted(found.items()))


def _counts(name: str, path: Path) -> bool:
    if name.startswith(("tfcost.techniques.", "tfcost_kernels.")):
        return True
    if path.is_relative_to(_PACKAGE) or name == "__main__":
        return False
    return not path.is_relative_to(_STANDARD) and not any(path.is_relative_to(folder) for folder in _INSTALLED)


def unchanged(sources: Mapping[str, str], root: Path) -> bool:
    """Whether every file of `sources` is what it was."""
    return all(digest(root / path) == content for path, content in sources.items())


def digest(path: Path) -> str:
    """SHA-256 of the file; "" if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


@cache
def environment() -> str:
    """SHA-256 of what the derivation itself is made of: tfcost's code, Python, and every installed distribution."""
    content = hashlib.sha256(f"{platform.python_version()} {tfcost.__version__}".encode())
    folders = {Path(entry) for entry in sys.path if entry.endswith("-packages")}
    for folder in sorted(folders):
        content.update(" ".join(sorted(entry.name for entry in folder.glob("*.dist-info"))).encode())
    for part in _OWN:
        place = _PACKAGE / part
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            content.update(digest(path).encode())
    return content.hexdigest()
