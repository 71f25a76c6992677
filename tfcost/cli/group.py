"""The command group: command modules are imported when they are run, errors become one line and an exit code."""

import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from tfcost.cli.output import abandon_stdout
from tfcost.errors import CannotMeasure, UserError, nearest

COMMANDS = ("analyze", "compare", "techniques", "explain", "derive", "measure", "verify", "check", "schema")
"""Each is a module of this package with a function of the same name; the help shows them in this order."""


class CommandGroup(TyperGroup):
    """A group whose commands live in modules of their own."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The command names, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, its module imported now; UserError, with the nearest name, for an unknown one."""
        if cmd_name not in COMMANDS:
            if getattr(ctx, "resilient_parsing", False):
                return None
            raise UserError(f"unknown command '{cmd_name}'{nearest(cmd_name, COMMANDS)}")
        if cmd_name not in self.commands:
            module = importlib.import_module(f"tfcost.cli.{cmd_name}")
            alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
            alone.command(cmd_name)(getattr(module, cmd_name))
            self.commands[cmd_name] = typer.main.get_command(alone)
        return self.commands[cmd_name]

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the command line `args` and leaves with its exit code."""
        arguments = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(arguments, prog_name, complete_var, False, windows_expand_args, **extra)
            sys.exit(code if isinstance(code, int) else 0)
        except BrokenPipeError:
            abandon_stdout()
            sys.exit(0)
        except Exception as error:
            sys.exit(_reported(error, verbose="-v" in arguments or "--verbose" in arguments))


def _reported(error: Exception, verbose: bool) -> int:
    """Tells `error` on stderr and returns the exit code for it."""
    if isinstance(error, CannotMeasure):
        return _told(str(error), 3)
    if isinstance(error, UserError):
        return _told(str(error), 2)
    if isinstance(error, typer.Abort):
        return _told("interrupted", 130)
    usage_message = getattr(error, "format_message", None)
    if usage_message is not None:
        return _told(usage_message(), 2)
    if verbose:
        traceback.print_exception(error)
    return _told(f"internal error: {type(error).__name__}: {error}" + ("" if verbose else " (-v: traceback)"), 1)


def _told(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code
