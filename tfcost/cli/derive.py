"""`tfcost derive`: the book again from the techniques' code, or the cost of a function of the user's."""

import os
import sys
import time
from typing import Annotated

import typer

from tfcost.cli.options import Destination, with_shared_options
from tfcost.cli.output import emit, warn
from tfcost.errors import UserError


@with_shared_options
def derive(
    target: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE.py:FUNCTION | TECHNIQUE …]", help="Nothing: the whole book."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if book and code disagree.")] = False,
    dim: Annotated[list[str] | None, typer.Option("--dim", metavar="NAME[=N]", help="A size: n, or d_h=64.")] = None,
    shape: Annotated[
        list[str] | None, typer.Option("--shape", metavar="NAME=DIMS", help="q=b,h,n,d_h or w=d,d:parameter.")
    ] = None,
    arg: Annotated[
        list[str] | None, typer.Option("--arg", metavar="NAME=VALUE", help="causal=true, or chunk=c for a --dim c.")
    ] = None,
    pass_: Annotated[list[str] | None, typer.Option("--pass", metavar="PASS", help="forward, backward.")] = None,
    dtype: Annotated[str, typer.Option("--dtype", metavar="DTYPE", help="bfloat16, float16 or float32.")] = "bfloat16",
    *,
    destination: Destination,
) -> None:
    """Derive costs from code: the whole book, some techniques of it, or one function of yours."""
    targets = target or []
    functions = [text for text in targets if ":" in text or text.endswith(".py")]
    if functions and len(targets) > 1:
        raise UserError("derive one FILE.py:FUNCTION at a time")
    # Derivations repeat themselves over more expressions than sympy remembers by default. Read when it is imported.
    os.environ.setdefault("SYMPY_CACHE_SIZE", "100000")
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise UserError("deriving needs torch: pip install 'transformer-cost[derive]'") from error
    if functions:
        if check:
            raise UserError("--check compares the book with its techniques, not with a FILE.py:FUNCTION")
        _function(functions[0], dim or [], shape or [], arg or [], dtype, pass_ or ["forward"], destination)
    else:
        if dim or shape or arg or pass_:
            raise UserError("--dim, --shape, --arg and --pass describe a FILE.py:FUNCTION; none is given")
        _book(targets, check, destination)


def _function(
    target: str, dims: list[str], shapes: list[str], arguments: list[str], dtype: str, passes: list[str],
    destination: Destination,
) -> None:  # fmt: skip
    from tfcost.analysis.query import full_dtype
    from tfcost.cli.output import publish
    from tfcost.derive.command import derive_function
    from tfcost.report.derived import derived_report

    for name in passes:
        if name not in ("forward", "backward"):
            raise UserError(f"--pass {name}: a function has the passes forward and backward")
    kind = full_dtype(dtype)
    if kind not in ("bfloat16", "float16", "float32"):
        raise UserError(f"--dtype {dtype}: expected bfloat16, float16 or float32")
    publish(derived_report(derive_function(target, dims, shapes, arguments, kind, passes)), destination)


def _book(names: list[str], check: bool, destination: Destination) -> None:
    from tfcost.derive.command import check_book, derive_book, write_book

    start = time.perf_counter()

    def progress(name: str, done: int, total: int) -> None:
        if sys.stderr.isatty() and not destination.quiet:
            print(f"\r\x1b[Kderiving {name}: {done} of {total}", end="", file=sys.stderr, flush=True)

    records = derive_book(names, progress)
    seconds = time.perf_counter() - start
    if sys.stderr.isatty() and not destination.quiet:
        print(file=sys.stderr)
    costs = sum(len(record.costs) for record in records)
    if not check:
        paths = write_book(records)
        emit(f"{costs} costs of {len(paths)} techniques derived in {seconds:.0f} s\n", destination.output)
        return
    found = check_book(records)
    lines = [f"{d.place}\n  - {d.book or '(nothing)'}\n  + {d.code or '(nothing)'}" for d in found]
    lines.append(f"{costs} costs of {len(records)} techniques derived in {seconds:.0f} s: "
                 + (f"{len(found)} formulas differ from the book" if found else "the book agrees"))  # fmt: skip
    emit("\n".join(lines) + "\n", destination.output)
    if found:
        warn("run 'tfcost derive' and review the changed formulas", destination.quiet)
        raise typer.Exit(1)
