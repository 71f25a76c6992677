"""Growth along sweeps: fits and slopes in, the page, the document and the flat records out."""

from collections.abc import Iterable, Sequence
from typing import Any

import tfcost
from tfcost.check.cells import TIME
from tfcost.check.growth import Growth, Slope, Term
from tfcost.check.sweeps import Sweep
from tfcost.quantities import QUANTITIES
from tfcost.report.document import SCHEMA_VERSION
from tfcost.report.page import Cell, Code, Page, Report, Table
from tfcost.report.words import sizes_line

_SUMMARY_COLUMNS = ("technique", "quantity", "sweeps", "terms", "in their interval")
_TERM_COLUMNS = ("technique", "case", "quantity", "term", "derived", "fitted", "± (95 %)", "in it")
_SLOPE_COLUMNS = ("technique", "case", "along", "measured", "predicted")
_NOTES = (
    "Measured values are fitted on the powers that the derived formula has at whole tiles, everything but the swept "
    "size being a number; what its exact form has beside them, rounding up to tiles, is taken off first.",
)


def growth_report(found: Sequence[Growth], times: Sequence[Slope], machines: Sequence[str]) -> Report:
    """The fits of FLOPs, bytes and memory, and the local slopes of time beside the prediction's."""
    return Report(
        page=lambda: Page(
            "Growth: the derived formula's own powers, fitted to what was measured",
            tuple(machines),
            (_summary(found), _terms(found), _slopes(times)),
            _NOTES,
        ),
        document=lambda: {
            "schema_version": SCHEMA_VERSION,
            "command": "verify",
            "tfcost_version": tfcost.__version__,
            "growth": [_growth(one) for one in found],
            "time_slopes": [{**_sweep(one.sweep), **_slope(one)} for one in times],
        },
        records=lambda: [
            _flat(one.sweep) | {"quantity": one.quantity} | _term(term) for one in found for term in one.terms
        ],
    )


def _summary(found: Sequence[Growth]) -> Table:
    groups: dict[tuple[str, str], list[Growth]] = {}
    for one in found:
        groups.setdefault((_technique(one.sweep), one.quantity), []).append(one)
    rows = tuple(
        (
            Code(technique),
            QUANTITIES[quantity].label,
            str(len(fits)),
            str(sum(len(fit.terms) for fit in fits)),
            str(sum(term.agrees for fit in fits for term in fit.terms)),
        )
        for (technique, quantity), fits in sorted(groups.items())
    )
    return Table("", _SUMMARY_COLUMNS, rows)


def _terms(found: Iterable[Growth]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        for place, term in enumerate(one.terms):
            about = (Code(_technique(one.sweep)), _case(one.sweep), QUANTITIES[one.quantity].label)
            rows.append((
                *(about if place == 0 else ("", "", "")), term.power, _number(term.derived),
                _number(term.fitted.value), _number(term.fitted.margin), "yes" if term.agrees else "no",
            ))  # fmt: skip
    return Table("Coefficients", _TERM_COLUMNS, tuple(rows))


def _slopes(times: Iterable[Slope]) -> Table:
    rows = tuple(
        (
            Code(_technique(one.sweep)),
            _case(one.sweep),
            f"{one.sweep.symbol} = {one.first} to {one.last}",
            f"{one.measured:.2f}",
            f"{one.derived:.2f}",
        )
        for one in times
    )
    return Table("Slope of time: d log(time) / d log(size)", _SLOPE_COLUMNS, rows)


def _technique(sweep: Sweep) -> str:
    return sweep.last.measurement.case.technique


def _case(sweep: Sweep) -> str:
    """What is equal at all points of a sweep."""
    case = sweep.last.measurement.case
    options = [f"{name}: {str(value).lower()}" for name, value in sorted(case.variant.items())]
    kept = {name: size for name, size in case.sizes.items() if name != sweep.symbol}
    if sweep.symbol == "n" and kept.get("m") == case.sizes["n"]:
        del kept["m"]
    return ", ".join([f"{case.scope} {case.pass_}", *options, sizes_line(kept), case.dtype])


def _number(value: Any) -> str:
    """Six digits; nothing after the point of a whole number."""
    number = float(value)
    return f"{number:.0f}" if number == round(number) and abs(number) < 10**9 else f"{number:.6g}"


def _sweep(sweep: Sweep) -> dict[str, Any]:
    case = sweep.last.measurement.case
    return {
        "technique": case.technique,
        "scope": case.scope,
        "pass": case.pass_,
        "dtype": case.dtype,
        "options": dict(case.variant),
        "symbol": sweep.symbol,
        "sizes": list(sweep.sizes),
        "others": {name: size for name, size in case.sizes.items() if name != sweep.symbol},
    }


def _growth(one: Growth) -> dict[str, Any]:
    return {
        **_sweep(one.sweep),
        "quantity": one.quantity,
        "fitted_at": list(one.sizes),
        "terms": [_term(term) for term in one.terms],
    }


def _term(term: Term) -> dict[str, Any]:
    return {
        "term": term.power.text,
        "derived": float(term.derived),
        "fitted": float(term.fitted.value),
        "margin": term.fitted.margin,
        "in_interval": term.agrees,
    }


def _slope(one: Slope) -> dict[str, Any]:
    return {"quantity": TIME, "from": one.first, "to": one.last, "measured": one.measured, "predicted": one.derived}


def _flat(sweep: Sweep) -> dict[str, Any]:
    entry = _sweep(sweep)
    for name in ("options", "others"):
        entry[name] = " ".join(f"{key}={value}" for key, value in entry[name].items())
    return entry | {"sizes": " ".join(map(str, entry["sizes"]))}
