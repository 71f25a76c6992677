"""Predicted times scaled by the longest of their sweep: calibrations in, row, table, note and document out."""

from collections.abc import Sequence
from typing import Any

from tfcost.check.calibrate import Calibration
from tfcost.report.page import Code, Table
from tfcost.report.words import case_name, case_text, percent

LABEL = "time, scaled by the longest of its sweep"
_COLUMNS = ("technique", "sweeps", "times", "median, not scaled", "median, scaled", "worst, scaled", "in")


def scaled_row(one: Calibration) -> tuple[str, ...]:
    """A row of the totals by quantity: label, times, how many are equal, the tolerance, median, largest, and where."""
    figures = percent(one.scaled), percent(one.worst.scaled, signed=True)
    return LABEL, str(one.times), "0", "not gated", *figures, case_name(one.worst.case)


def scaled_table(found: Sequence[Calibration]) -> list[Table]:
    """One row per technique; no table if there is no sweep."""
    rows = tuple(
        (
            Code(one.technique),
            str(one.sweeps),
            str(one.times),
            percent(one.raw),
            percent(one.scaled),
            percent(one.worst.scaled, signed=True),
            case_text(one.worst.case, technique=one is found[0]),
        )
        for one in found
    )
    return [Table(LABEL.capitalize(), _COLUMNS, rows)] if rows else []


def scaled_note(found: Sequence[Calibration], timed: int) -> list[str]:
    """What the scaled times are, and how many of all `timed` cases they cover; nothing if there is no sweep."""
    if not found:
        return []
    every = found[0]
    return [
        f"{LABEL}: {every.times} of {timed} times. In {every.sweeps} sweeps of a length, all else equal, the ratio of "
        "measured to predicted time at the longest scales the prediction at the others; the longest itself is left "
        f"out, as is what is in no such sweep. Not scaled, the same {every.times} times differ by {percent(every.raw)} "
        "(median)."
    ]


def scaled_document(found: Sequence[Calibration]) -> list[dict[str, Any]]:
    """The "scaled_time" of the JSON document: all techniques together, then each."""
    return [
        {
            "technique": one.technique,
            "sweeps": one.sweeps,
            "times": one.times,
            "typical_difference_unscaled": one.raw,
            "typical_difference": one.scaled,
            "worst_difference": one.worst.scaled,
            "worst_case": case_text(one.worst.case),
        }
        for one in found
    ]
