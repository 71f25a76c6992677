"""Writes what commands print into the README: each block between "<!-- $ tfcost … -->" and "<!-- end -->" is the output
of that command, so that no measured number is ever typed.

    python .ci/readme.py
"""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"(<!-- \$ tfcost (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def updated(text: str, run: Callable[[list[str]], str]) -> str:
    """`text` with every block as `run` prints it."""
    return BLOCK.sub(lambda block: f"{block[1]}\n{run(shlex.split(block[2]))}\n{block[3]}", text)


def run(arguments: list[str]) -> str:
    """What `tfcost` prints with these arguments, its headings one level below those of the README. 1 says that a check
    failed, which the output tells; any other failure ends this.
    """
    from typer.testing import CliRunner

    from tfcost.cli.app import app

    result = CliRunner().invoke(app, arguments)
    if result.exit_code not in (0, 1):
        raise SystemExit(result.stderr)
    return re.sub(r"^#+ ", r"#\g<0>", result.stdout, flags=re.MULTILINE)


if __name__ == "__main__":
    from tfcost.files import write_atomically

    write_atomically(README, updated(README.read_text(encoding="utf-8"), run))
