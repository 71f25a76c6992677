"""Where results go: stdout, whatever its encoding and however long its reader stays, or a file replaced at once."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tfcost.errors import UserError
from tfcost.files import write_atomically

if TYPE_CHECKING:
    from tfcost.cli.options import Destination
    from tfcost.report.page import Report


def publish(report: "Report", destination: "Destination") -> None:
    """Writes `report` as and where the options in `destination` say."""
    from tfcost.report.render import render

    to_terminal = destination.output is None and sys.stdout is not None and sys.stdout.isatty()
    text = render(
        report,
        destination.format,
        width=shutil.get_terminal_size((100, 24)).columns,
        styled=to_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
        ascii_only=destination.output is None and ascii_only(),
    )
    emit(text, destination.output)


def emit(text: str, output: Path | None = None) -> None:
    """Writes `text`, which ends with a newline, to the file `output` or to stdout.

    Characters that stdout cannot encode are written as escapes; renderers avoid them. UserError if the file or
    stdout cannot be written; BrokenPipeError if the reader of stdout has left.
    """
    if output is not None:
        write_atomically(output, text)
    elif sys.stdout is not None:
        encoding = sys.stdout.encoding or "utf-8"
        try:
            sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            abandon_stdout()
            raise UserError(f"cannot write to stdout: {error.strerror}") from error


def abandon_stdout() -> None:
    """After a write has failed: nothing more is written, also not when Python flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def ascii_only() -> bool:
    """Whether stdout can show nothing but ASCII."""
    try:
        "Θ·²◀é…".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return True
    return False


def note(message: str, quiet: bool = False) -> None:
    """What is worth knowing, as a line on stderr, unless the user asked for quiet."""
    if not quiet:
        print(f"note: {message}", file=sys.stderr)


def warn(message: str, quiet: bool = False) -> None:
    """A line on stderr, unless the user asked for quiet."""
    if not quiet:
        print(f"warning: {message}", file=sys.stderr)
