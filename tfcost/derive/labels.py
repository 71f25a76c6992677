"""Files each operation under the step and the source line that caused it, in the forward and the backward pass.

Forward: the innermost `step` label and the first stack frame outside torch, Triton and this package. Backward: autograd
runs nodes without a Python frame, so the forward pass leaves the label on each node it makes (`NodeLabels`).
"""

import linecache
import os
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from tfcost.derive.indexing import index_as_for_real
from tfcost.steps import current_step

RECOMPUTED = " (recomputed)"
"""Ends the name of a step that a backward pass does again."""

_KEY = "tfcost"
_TORCH = os.path.dirname(torch.__file__) + os.sep
_DERIVE = os.path.dirname(__file__) + os.sep
_HARNESS = os.path.join(_DERIVE, "harness.py")
_PACKAGE = os.path.dirname(_DERIVE.rstrip(os.sep))
# What traced code calls by name: the line that calls it is the one to tell.
_CALLED = tuple(os.path.join(_PACKAGE, name) for name in ("steps.py", "collectives.py"))
_TRITON = tuple(folder + os.sep for folder in getattr(find_spec("triton"), "submodule_search_locations", None) or ())
_APART = (_TORCH, _DERIVE, *_TRITON)
_STANDARD = sysconfig.get_paths()["stdlib"] + os.sep
# Without a virtual environment, installed packages lie inside the standard library's folder.
_INSTALLED = (sysconfig.get_paths()["purelib"] + os.sep, sysconfig.get_paths()["platlib"] + os.sep)


@dataclass(frozen=True, slots=True)
class Label:
    """Where an operation comes from: its step, its file and line, and the line's text."""

    step: str
    path: str
    line: int

    @property
    def location(self) -> str:
        """The place as "path.py:line", with the path as `shown_path` gives it."""
        return f"{shown_path(self.path)}:{self.line}" if self.path else "(autograd)"

    @property
    def code(self) -> str:
        """The source line, stripped."""
        return linecache.getline(self.path, self.line).strip()


def shown_path(path: str) -> str:
    """The path as reports show it: from the project's root for tfcost's own files, else from the working directory."""
    root = os.path.dirname(os.path.dirname(_DERIVE.rstrip(os.sep)))
    for base in (root, os.getcwd()):
        if path.startswith(base + os.sep):
            return os.path.relpath(path, base).replace(os.sep, "/")
    return path


def current_label() -> Label:
    """The label of the operation being dispatched now."""
    frame = _user_frame()
    node: Any = torch._C._current_autograd_node()
    inherited: Label | None = node.metadata.get(_KEY) if node is not None else None
    if frame is not None:
        name = current_step()
        if node is not None and name:
            name = f"{name}{RECOMPUTED}" if inherited is not None else name
        return Label(name or (inherited.step if inherited else ""), *frame)
    if inherited is not None:
        return inherited
    return Label("gradient accumulation" if node is not None else "", "", 0)


def in_user_code() -> bool:
    """Whether a line of the traced code itself, not the autograd engine, asked for the operation."""
    return _user_frame() is not None


def is_user_file(path: str) -> bool:
    """Whether a stack frame of the file is traced code: not torch, triton, this package or the standard library."""
    if path.startswith((*_APART, "<")) or path in _CALLED:
        return False
    return not path.startswith(_STANDARD) or path.startswith(_INSTALLED)


def _user_frame() -> tuple[str, int] | None:
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if path == _HARNESS:
            return None
        if is_user_file(path):
            return path, frame.f_lineno
        frame = frame.f_back  # type: ignore[assignment]
    return None


class NodeLabels(TorchFunctionMode):
    """Leaves the current label on every autograd node that a torch function makes, or a custom autograd function."""

    def __enter__(self) -> "NodeLabels":
        self._apply = torch.autograd.Function.__dict__["apply"]

        def apply(function: Any, *args: Any, **kwargs: Any) -> Any:
            result = self._apply.__get__(None, function)(*args, **kwargs)
            if in_user_code():
                _label_results(result)
            return result

        torch.autograd.Function.apply = classmethod(apply)  # type: ignore[assignment, method-assign]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        torch.autograd.Function.apply = self._apply  # type: ignore[method-assign]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.__getitem__:
            func = index_as_for_real
        result = func(*args, **(kwargs or {}))
        _label_results(result)
        return result


def _label_results(result: Any) -> None:
    for leaf in tree_leaves(result):
        if isinstance(leaf, torch.Tensor) and leaf.grad_fn is not None:
            _label_new_nodes(leaf.grad_fn)


def _label_new_nodes(node: Any) -> None:
    label: Label | None = None
    pending = [node]
    while pending:
        node = pending.pop()
        if node is None or _KEY in node.metadata or not node.next_functions:
            continue
        label = label or current_label()
        node.metadata[_KEY] = label
        pending.extend(parent for parent, _ in node.next_functions)
