"""`tfcost check`: did the cost of a target change, and does it keep its contract?"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tfcost.cli.output import ascii_only, emit, warn
from tfcost.errors import UserError

if TYPE_CHECKING:
    from tfcost.check.finding import CheckResult
    from tfcost.check.run import Derived
    from tfcost.cli.measured import Measured

Reporter = Literal["terminal", "github", "junit", "json", "sarif"]


def check(
    targets: Annotated[list[str] | None, typer.Argument(metavar="[TARGET]...", help="None: all of them.")] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Unless said, the nearest tfcost.yaml from here upwards."),
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Accept the costs: write the lock file.")] = False,
    only: Annotated[str, typer.Option(metavar="CHECKS", help="contract,drift,accuracy: make only these.")] = "",
    reporter: Annotated[Reporter, typer.Option(help="Who the result is for.")] = "terminal",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of stdout.")
    ] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Run techniques on this GPU, too.")] = False,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 if a check failed.")] = False,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep results for the next run.")] = True,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Targets derived at a time.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No warnings, no progress.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every cause; tracebacks.")] = False,
) -> None:
    """Compare costs with their contracts and with the lock file.

    Exit codes: 0 fine, 1 a check failed, 2 a target or a file is at fault, 3 could not measure.
    """
    from tfcost.check.config import find_config
    from tfcost.check.run import derive_targets

    checks = _checks(only)
    path = config or find_config(Path.cwd())
    derived = derive_targets(path, targets or (), cache, jobs, None if quiet else _progress)
    if derived.warning:
        warn(derived.warning, quiet)
    measured = _measured(derived) if measure else None
    if update:
        _update(derived, measured, output)
    else:
        _report(derived, measured, checks, reporter, output, exit_zero, verbose)


def _measured(derived: "Derived") -> "Measured":
    from tfcost.cli.measured import measure_targets

    return measure_targets(derived)


def _checks(only: str) -> tuple[str, ...]:
    from tfcost.check.finding import CHECKS
    from tfcost.errors import nearest

    chosen = tuple(name.strip() for name in only.split(",") if name.strip()) or CHECKS
    for name in chosen:
        if name not in CHECKS:
            raise UserError(f"--only {name}: no such check{nearest(name, CHECKS)}")
    return chosen


def _progress(name: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r\x1b[Kderived {done} of {total}: {name}", end=end, file=sys.stderr, flush=True)


def _report(
    derived: "Derived", measured: "Measured | None", checks: tuple[str, ...], reporter: Reporter, output: Path | None,
    exit_zero: bool, verbose: bool,
) -> None:  # fmt: skip
    from tfcost.check.run import run_check
    from tfcost.report.check import render_check

    evidence, more = ([measured.evidence], measured.findings) if measured else ([], ())
    result = run_check(derived, checks, evidence, more)
    emit(render_check(result, reporter, verbose=verbose, ascii_only=output is None and ascii_only()), output)
    if reporter == "github":
        _summarise(result)
    code = result.exit_code
    if code and not (exit_zero and code == 1):
        raise typer.Exit(code)


def _summarise(result: "CheckResult") -> None:
    """Adds to the job's summary, where GitHub gives a file for it."""
    from tfcost.report.check_github import summary_markdown

    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if place:
        with open(place, "a", encoding="utf-8") as file:
            file.write(summary_markdown(result))


def _update(derived: "Derived", measured: "Measured | None", output: Path | None) -> None:
    from tfcost.check.update import update

    done = update(derived)
    lines = [change.text for change in done.changes]
    lines += [f"error: {refusal}" for refusal in done.refusals]
    count = len(done.changes)
    changed = f"{count} formula{'s' * (count != 1)} changed"
    lines.append(f"{done.path.name} is not written: {changed}" if done.refusals else f"{done.path.name}: {changed}")
    if measured and not done.refusals:
        from tfcost.cli.measured import write_baseline

        lines.append(f"{write_baseline(derived, measured).name}: {len(measured.evidence.measurements)} cases")
    emit("\n".join(lines) + "\n", output)
    if done.refusals:
        raise typer.Exit(1)
