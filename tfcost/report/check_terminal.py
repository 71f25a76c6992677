"""The result of `tfcost check` for a person: each finding with its causes, worst first, and one line per check."""

from collections.abc import Iterator

from tfcost.check.finding import CHECKS, CheckResult, Finding
from tfcost.report.check_places import split_location

_FEW = 3
_WHOLE = 10
_COUNTED = {"contract": "line", "drift": "formula", "accuracy": "cell"}
_PLURAL = {"line": "lines", "formula": "formulas", "cell": "cells"}
_ASCII = str.maketrans({"Θ": "Theta", "·": "*", "²": "**2", "³": "**3", "…": "...", "⌈": "ceil(", "⌉": ")", "×": "x"})


def terminal_text(result: CheckResult, verbose: bool = False, ascii_only: bool = False) -> str:
    """The report: the worst findings with their main causes, of others the first line; with `verbose`, everything."""
    whole = len(result.findings) if verbose else _WHOLE
    lines = [line for finding in result.findings[:whole] for line in _finding(result, finding, verbose)]
    lines += [f"{finding.level}: {finding.message}" for finding in result.findings[whole:]]
    lines += [f"note: {note}" for note in result.notes]
    lines += summary_lines(result)
    text = "\n".join(lines) + "\n"
    return text.translate(_ASCII) if ascii_only else text


def summary_lines(result: CheckResult) -> Iterator[str]:
    """One line per check that was made, and one on the targets."""
    for check in CHECKS:
        if check in result.compared:
            found = [finding for finding in result.findings if finding.check == check]
            errors = sum(finding.level == "error" for finding in found)
            open_ones = len(found) - errors
            word = _COUNTED[check]
            count = result.compared[check]
            verdict = f"{errors} failed" if errors else "all hold" if check == "contract" else "none changed"
            if check == "accuracy" and not errors:
                verdict = "all agree"
            more = f", {open_ones} not shown" if open_ones else ""
            yield f"{check}: {count} {word if count == 1 else _PLURAL[word]}, {verdict}{more}"
    broken = len({finding.target for finding in result.findings if finding.check == "target"})
    number = len(result.targets)
    yield f"{number} target{'s' * (number != 1)}" + (f", {broken} not checked" if broken else "")


def _finding(result: CheckResult, finding: Finding, verbose: bool) -> Iterator[str]:
    yield f"{finding.level}: {finding.message}"
    shown = finding.causes if verbose else finding.causes[:_FEW]
    for cause in shown:
        place = "{}:{}".format(*split_location(result, cause.location)) if cause.location else ""
        yield f"  {cause.step}: {cause.operation}" + (f"  {place}" if place else "")
        if cause.code:
            yield f"      {cause.code}"
        change = f"{cause.old or 'nothing'} -> {cause.new or 'nothing'}" if cause.old or not cause.new else cause.new
        yield f"      {change}"
    if len(finding.causes) > len(shown):
        yield f"  and {len(finding.causes) - len(shown)} more (-v)"
    yield from (f"  {detail}" for detail in finding.details)
    yield ""
