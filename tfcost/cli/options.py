"""Options that commands share: sizes by symbol, technique options, what to print and where.

A command takes a `Question` or a `Destination` as one parameter; `with_shared_options` puts their options in its place.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from tfcost.errors import UserError
from tfcost.numbers import TOKEN_COUNTS, parse_count
from tfcost.symbols import SYMBOLS

Format = Literal["table", "json", "md", "csv", "latex"]
Sizes = dict[str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about: `sizes` holds the symbol options that were given, as text, by symbol name."""

    causal: Annotated[
        bool | None, typer.Option("--causal/--no-causal", help="A token sees only itself and those before it.")
    ] = None
    pass_: Annotated[str | None, typer.Option("--pass", metavar="PASS", help="forward, backward or train.")] = None
    dtype: Annotated[
        str | None, typer.Option("--dtype", metavar="DTYPE", help="bfloat16 (bf16), float16 (fp16) or float32 (fp32).")
    ] = None
    device: Annotated[
        str | None,
        typer.Option(
            "--device", metavar="NAME", help="For predicted times: a device of the table, its YAML file, or evidence."
        ),
    ] = None
    scope: Annotated[
        str | None, typer.Option("--scope", metavar="SCOPE", help="core, layer, block or stack: show this one only.")
    ] = None
    option: Annotated[
        list[str], typer.Option("--option", metavar="NAME=VALUE", help="A technique's own option: feature_map=relu.")
    ] = field(default_factory=list)
    sizes: Sizes = field(default_factory=dict)

    def values(self) -> dict[str, int]:
        """The sizes as numbers. UserError that names the option."""
        return {name: _size(name, text) for name, text in self.sizes.items()}

    def options(self) -> dict[str, str]:
        """The technique options, as text, by name. UserError for one that is not NAME=VALUE or is given twice."""
        found = {} if self.causal is None else {"causal": str(self.causal).lower()}
        for text in self.option:
            name, equals, value = text.partition("=")
            if not (name and equals and value):
                raise UserError(f"--option: '{text}' is not NAME=VALUE")
            if name in found:
                raise UserError(f"--option: '{name}' is given twice")
            found[name] = value
        return found


@dataclass(frozen=True, slots=True)
class Destination:
    """How and where the result is written, and how much is told besides."""

    format: Annotated[Format, typer.Option("--format", help="How to write the result.")] = "table"
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of stdout.")
    ] = None
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No warnings.")] = False
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Exact formulas; tracebacks.")] = False


def with_shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with every parameter of type Question or Destination replaced by the options in it."""
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        if hints[name] in (Question, Destination):
            added = _options_of(hints[name])
            groups[name] = hints[name], [option.name for option in added]
            parameters += added
        else:
            parameters.append(parameter.replace(annotation=hints[name]))

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        for name, (group, options) in groups.items():
            arguments[name] = _grouped(group, {option: arguments.pop(option) for option in options})
        command(**arguments)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _options_of(group: type) -> list[inspect.Parameter]:
    """The keyword parameters for the fields of `group`; for `sizes`, one per symbol that has an option."""
    hints = get_type_hints(group, include_extras=True)
    found: list[inspect.Parameter] = []
    for entry in fields(group):
        if hints[entry.name] == Sizes:
            found += [_parameter(name, _size_option(name), None) for name in SYMBOLS if SYMBOLS[name].option]
        else:
            default = [] if entry.default_factory is list else entry.default
            found.append(_parameter(entry.name, hints[entry.name], default))
    return found


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _size_option(name: str) -> Any:
    symbol = SYMBOLS[name]
    unit = "; 16k = 16*1024" if name in TOKEN_COUNTS else ""
    help_text = f"{symbol.meaning[0].upper()}{symbol.meaning[1:]}{unit}."
    return Annotated[str | None, typer.Option(symbol.option, metavar="N", help=help_text, rich_help_panel="Sizes")]


def _grouped(group: type, arguments: dict[str, Any]) -> Any:
    sizes = {name: value for name, value in arguments.items() if name in SYMBOLS and value is not None}
    rest = {name: value for name, value in arguments.items() if name not in SYMBOLS}
    return group(**rest, sizes=sizes) if group is Question else group(**rest)


def _size(name: str, text: str) -> int:
    try:
        return parse_count(text, name, least=SYMBOLS[name].least)
    except UserError as error:
        raise UserError(f"{SYMBOLS[name].option}: {error}") from None
