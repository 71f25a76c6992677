"""`tfcost measure`: runs techniques on the GPU and records FLOPs, bytes, memory and time."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfcost.cli.completion import technique_names
from tfcost.cli.output import emit
from tfcost.errors import UserError

if TYPE_CHECKING:
    from tfcost.book import Book
    from tfcost.evidence.record import Case
    from tfcost.measure.command import Result
    from tfcost.measure.plan import Plan, Selection

_DTYPES = ("bfloat16", "float16", "float32")


def measure(
    techniques: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TECHNIQUE …]", autocompletion=technique_names, help="Nothing: all of them."),
    ] = None,
    n: Annotated[
        str | None, typer.Option("--n", metavar="N,N…", help="Lengths: 1k,4k,16k (cached tokens too).")
    ] = None,
    pass_: Annotated[str | None, typer.Option("--pass", metavar="PASS,…", help="forward, backward, decode, …")] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", metavar="DTYPE,…", help="bf16, fp16, fp32.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="NAME=VALUE", help="Only variants with causal=true.")
    ] = None,
    d_h: Annotated[str | None, typer.Option("--d-h", metavar="N,N…", help="Head widths.")] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="A whole model instead.")] = None,
    counters: Annotated[bool, typer.Option(help="Count FLOPs and bytes with Nsight Compute.")] = True,
    time: Annotated[bool, typer.Option(help="Take times.")] = True,
    ceilings: Annotated[
        bool | None,
        typer.Option("--ceilings/--no-ceilings", help="What the GPU does at best: that alone, or not; else it too."),
    ] = None,
    limit: Annotated[float | None, typer.Option(metavar="SECONDS", help="Begin no new cases after that.")] = None,
    only_list: Annotated[bool, typer.Option("--list", help="Show the cases; run nothing, need no GPU.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Results; by default named after the GPU.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Run techniques on the GPU: tensor-core FLOPs, bytes, memory, time. The same command goes on where it stopped."""
    from tfcost.book import load_book
    from tfcost.measure.plan import Plan, listed, make_plan

    book = load_book()
    if ceilings:
        _refuse_with_ceilings(techniques, n, pass_, dtype, option, d_h, config, only_list)
        _run(Plan((), ()), book, output, counters=False, time=False, ceilings=True, limit=limit, quiet=quiet)
        return
    if config is not None:
        if techniques or option or d_h:
            raise UserError("--config measures a whole model: give no technique, --option or --d-h")
        plan = Plan(_models(config, n, pass_, dtype, book), ())
    else:
        plan = make_plan(book, _selection(techniques, n, pass_, dtype, option, d_h))
    if not plan.cases:
        raise UserError("nothing to measure: " + (plan.left_out[0][1] if plan.left_out else "no case is so"))
    if only_list:
        emit(listed(plan), output)
        return
    _run(plan, book, output, counters, time, ceilings is None, limit, quiet)


def _refuse_with_ceilings(*others: object) -> None:
    """UserError if anything is to be measured besides."""
    if any(others):
        raise UserError("--ceilings measures those alone: give no technique, sizes, --option, --config or --list")


def _run(
    plan: "Plan", book: "Book", output: Path | None, counters: bool, time: bool, ceilings: bool, limit: float | None,
    quiet: bool,
) -> None:  # fmt: skip
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise UserError("measuring needs torch: pip install 'transformer-cost[gpu]'") from error
    from tfcost.measure.command import Settings, measure

    seconds = float("inf") if limit is None else limit
    try:
        result = measure(plan.cases, book, Settings(output, counters, time, ceilings, seconds, quiet))
    except KeyboardInterrupt:
        typer.echo("interrupted: what was measured is saved; the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    emit(_summary(result))
    if any(one.outcome == "failed" for one in result.measurements):
        raise typer.Exit(1)


def _summary(result: "Result") -> str:
    """How many cases of each outcome, which failed, and where it all is."""
    counts: dict[str, int] = {}
    for one in result.measurements:
        counts[one.outcome] = counts.get(one.outcome, 0) + 1
    lines = [f"failed: {one.case.key}: {one.reason}" for one in result.measurements if one.outcome == "failed"]
    told = [f"{count} {outcome}" for outcome, count in counts.items()]
    told += [f"{result.waiting} left: the same command goes on"] if result.waiting else []
    told = told or ["ceilings measured"]
    return "\n".join([*lines, f"{', '.join(told)}; written to {result.path}", ""])


def _selection(
    techniques: list[str] | None, n: str | None, pass_: str | None, dtype: str | None, option: list[str] | None,
    d_h: str | None,
) -> "Selection":  # fmt: skip
    from tfcost.measure.plan import Selection

    return Selection(
        techniques=tuple(techniques or ()), lengths=_numbers(n, "--n", "n"), passes=_texts(pass_),
        dtypes=_dtypes(dtype), options=_options(option or []), widths=_numbers(d_h, "--d-h"),
    )  # fmt: skip


def _models(config: Path, n: str | None, pass_: str | None, dtype: str | None, book: "Book") -> "tuple[Case, ...]":
    from tfcost.config.load import load_config
    from tfcost.measure.plan import model_cases

    found: list[Case] = []
    for length in _numbers(n, "--n", "n") or (None,):
        for kind in _dtypes(dtype) or (None,):
            given = {"n": length, "dtype": kind}
            overrides = {name: value for name, value in given.items() if value is not None}
            found += model_cases(load_config(config, overrides, book.names), book, _texts(pass_))
    return tuple(found)


def _texts(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()


def _numbers(text: str | None, option: str, symbol: str = "") -> tuple[int, ...]:
    from tfcost.numbers import parse_count

    try:
        return tuple(parse_count(part, symbol) for part in _texts(text))
    except UserError as error:
        raise UserError(f"{option}: {error}") from None


def _dtypes(text: str | None) -> tuple[str, ...]:
    from tfcost.analysis.query import full_dtype
    from tfcost.errors import nearest

    found = tuple(full_dtype(part) for part in _texts(text))
    for name in found:
        if name not in _DTYPES:
            raise UserError(f"--dtype: unknown dtype '{name}'{nearest(name, _DTYPES)}")
    return found


def _options(texts: list[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UserError(f"--option: '{text}' is not NAME=VALUE")
        found[name] = value
    return found
