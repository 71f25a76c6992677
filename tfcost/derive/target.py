"""A function of the user's, "path.py:function" or "module:function", with shapes from the command line, as a `Subject`.

The file is imported (that runs its top level); nothing else of it runs here.
"""

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from tfcost.derive.labels import is_user_file, shown_path
from tfcost.derive.subject import Size, Subject, Tensor, parse_shape
from tfcost.errors import UserError, nearest
from tfcost.formula import FormulaError
from tfcost.numbers import parse_count


def load_function(target: str) -> Callable[..., Any]:
    """The function that "path.py:function" or "package.module:function" names. UserError if there is none."""
    path_text, _, name = target.rpartition(":")
    if not path_text or not name:
        raise UserError(f"'{target}' is not FILE.py:FUNCTION")
    path = Path(path_text)
    if path.is_file():
        module = _import(path)
    elif path_text.endswith(".py") or not all(part.isidentifier() for part in path_text.split(".")):
        raise UserError(f"{path_text}: no such file")
    else:
        module = _import_by_name(path_text)
    found = getattr(module, name, None)
    if found is None:
        callables = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UserError(f"{path_text}: no function '{name}'{nearest(name, callables)}")
    if not callable(found):
        raise UserError(f"{path_text}: '{name}' is {type(found).__name__}, not a function")
    return found  # type: ignore[no-any-return]


def _import_by_name(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if is_user_file(f.filename)]
        place = f"{shown_path(frames[-1].filename)}:{frames[-1].lineno}" if frames else name
        raise UserError(f"{place}: importing it failed: {type(error).__name__}: {error}") from error


def _import(path: Path) -> ModuleType:
    # A file called torch.py must not take the place of torch.
    name = f"user_{path.stem}" if path.stem in sys.modules else path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Kernels look up their helpers through the module's name, and imports beside the file must work as usual.
    sys.modules[module.__name__] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UserError(f"{_place(error, path)}: importing it failed: {type(error).__name__}: {error}") from error
    return module


def _place(error: BaseException, path: Path) -> str:
    """Where `error` came from, as "path.py:line": the innermost frame in the file, or its syntax error."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{shown_path(error.filename) if error.filename else path}:{error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path.absolute()
              or f.filename == str(path)]  # fmt: skip
    return f"{path}:{frames[-1].lineno}" if frames else str(path)


def subject_of(
    function: Callable[..., Any], dims: Sequence[str], shapes: Sequence[str], arguments: Sequence[str]
) -> Subject:
    """The subject that `--dim`, `--shape` and `--arg` describe.

    dims: "n" (a symbol) or "d_h=64"; shapes: "q=b,h,n,d_h" or "w=d,d:parameter" or "t=b,n:index";
    arguments: "causal=true", "scale=0.5", "mode=relu", or "chunk=c" with c a dim.
    """
    symbols, fixed = _dims(dims)
    made: dict[str, Any] = {}
    for text in shapes:
        name, shape = _pair(text, "--shape")
        if name in made:
            raise UserError(f"--shape {text}: '{name}' is given twice")
        made[name] = _tensor(name, shape, {*symbols, *fixed})
    for text in arguments:
        name, value = _pair(text, "--arg")
        if name in made:
            raise UserError(f"--arg {text}: '{name}' is given twice")
        made[name] = Size(value) if value in symbols or value in fixed else _literal(value)
    _check_signature(function, made)
    return Subject(function, made, symbols, fixed)


def _dims(dims: Sequence[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    symbols: list[str] = []
    fixed: dict[str, int] = {}
    for text in dims:
        name, equals, value = text.partition("=")
        if not name.isidentifier():
            raise UserError(f"--dim {text}: '{name}' is not a name")
        if name in symbols or name in fixed:
            raise UserError(f"--dim {text}: '{name}' is given twice")
        if equals:
            fixed[name] = _count(name, value)
        else:
            symbols.append(name)
    return tuple(symbols), fixed


def _count(name: str, value: str) -> int:
    try:
        return parse_count(value, name)
    except UserError as error:
        raise UserError(f"--dim {name}={value}: {error}") from None


def _tensor(argument: str, text: str, known: set[str]) -> Tensor:
    shape, colon, role = text.partition(":")
    roles = ("input", "parameter", "index")
    if colon and role not in roles:
        raise UserError(f"--shape {argument}={text}: unknown role '{role}'{nearest(role, roles)}")
    try:
        dimensions = parse_shape(shape)
    except FormulaError as error:
        # The rest of the message is an excerpt of the option, which stands here as a whole.
        raise UserError(f"--shape {argument}={text}: {str(error).splitlines()[0]}") from None
    for dimension in dimensions:
        for name in sorted(dimension.symbols - known):
            raise UserError(f"--shape {argument}={text}: '{name}' is no --dim{nearest(name, known)}")
    return Tensor(shape, role or "input")  # type: ignore[arg-type]


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise UserError(f"{option} {text}: expected NAME=VALUE")
    return name, value


def _literal(text: str) -> object:
    words: Mapping[str, object] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    if text.startswith("torch.") and isinstance(getattr(torch, text[6:], None), torch.dtype):
        return getattr(torch, text[6:])
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _check_signature(function: Callable[..., Any], given: Mapping[str, object]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    name = getattr(function, "__name__", str(function))
    parameters = signature.parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    for argument in given:
        if argument not in parameters:
            raise UserError(f"{name} has no parameter '{argument}'{nearest(argument, parameters)}")
    missing = [p.name for p in parameters.values()
               if p.default is inspect.Parameter.empty and p.name not in given
               and p.kind is not inspect.Parameter.VAR_POSITIONAL]  # fmt: skip
    if missing:
        raise UserError(f"{name} needs {', '.join(missing)}: give --shape {missing[0]}=… or --arg {missing[0]}=…")
