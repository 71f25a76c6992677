"""What `compare` shows of a sweep: per quantity a table, lengths down and contenders across, crossovers and a plot."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tfcost.analysis.meetings import TIME
from tfcost.analysis.predict import Machine
from tfcost.analysis.side_by_side import least
from tfcost.analysis.sweep import Sweep
from tfcost.quantities import QUANTITIES
from tfcost.report.crossovers import crossover_documents, sentences
from tfcost.report.page import Amount, Cell, Curve, Page, Plot, Report, Table
from tfcost.report.units import Value, exact_number

SHOWN = ("matmul_flops", "peak_bytes", "issued_bytes", TIME)
"""The quantities of tables and plots, in this order; the JSON document has all that are compared."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a report says beside its numbers: title and lines of the page; the top of the document and its "results",
    made when they are asked for; `ratios`: columns that divide every contender's amounts by the first one's.
    """

    title: str
    lines: tuple[str, ...]
    document: Callable[[], Mapping[str, Any]]
    ratios: bool = False


def sweep_report(sweeps: Sequence[Sweep], told: Told, device: Machine) -> Report:
    """The report of the same sweep at every scope; times are predicted on `device`."""
    return Report(
        page=lambda: Page(told.title, told.lines, tuple(t for one in sweeps for t in _tables(one, told, device))),
        document=lambda: _document(sweeps, told),
        records=lambda: [record for one in sweeps for record in _records(one)],
    )


def _document(sweeps: Sequence[Sweep], told: Told) -> dict[str, Any]:
    crossovers = [d for one in sweeps for meeting in one.meetings for d in crossover_documents(meeting, one.scope)]
    along = {
        "symbol": "n",
        "at": list(sweeps[0].places),
        "series": [series for one in sweeps for series in _series(one)],
        "gaps": [gap for one in sweeps for gap in _gaps(one)],
    }
    return {**told.document(), "crossovers": crossovers, "sweep": along}


def plots(one: Sweep, device: Machine) -> list[Plot]:
    """One plot per quantity that is shown and that some contender has."""
    return [_plot(one, quantity, device) for quantity in SHOWN if any(one.amounts.get(quantity, {}).values())]


def unit_of(quantity: str) -> str:
    """The unit of a quantity or of predicted time."""
    return "s" if quantity == TIME else QUANTITIES[quantity].unit


def title_of(quantity: str, scope: str, device: Machine) -> str:
    """What stands over a table or plot."""
    name = f"time on {device.label}, a prediction" if quantity == TIME else QUANTITIES[quantity].label
    return f"{scope}: {name}"


def _tables(one: Sweep, told: Told, device: Machine) -> list[Table]:
    return [_table(one, quantity, told, device) for quantity in SHOWN if one.amounts.get(quantity)]


def _table(one: Sweep, quantity: str, told: Told, device: Machine) -> Table:
    names = [contender.name for contender in one.contenders]
    columns = ["n", *names, *(f"{name} / {names[0]}" for name in names[1:] if told.ratios)]
    rows = [_row(one, quantity, place, index, told.ratios) for index, place in enumerate(one.places)]
    notes = [*sentences(one.meetings, quantity), *_notes(one)]
    plot = _plot(one, quantity, device)
    title = title_of(quantity, one.scope, device)
    return Table(title, tuple(columns), tuple(rows), tuple(notes), plot if plot.curves else None)


def _row(one: Sweep, quantity: str, place: int, index: int, ratios: bool) -> tuple[Cell, ...]:
    by_name = {c.name: one.amounts[quantity].get(c.name, ())[index : index + 1] for c in one.contenders}
    values = {name: found[0] for name, found in by_name.items() if found and found[0] is not None}
    smallest, unit = least(values), unit_of(quantity)
    cells: list[Cell] = [str(place)]
    cells += [Amount(values[name], unit, name in smallest) if name in values else "–" for name in by_name]
    if ratios:
        first, *others = by_name
        cells += [ratio_text(values.get(name), values.get(first)) for name in others]
    return tuple(cells)


def ratio_text(value: Value | None, base: Value | None) -> str:
    """How many times `base` a value is: "1.25"; a dash where there is none."""
    if value is None or not base:
        return "–"
    return f"{float(Fraction(value) / Fraction(base)):.4g}"


def _notes(one: Sweep) -> list[str]:
    varied = [f"{name}: other formulas at other n; crossovers are of those at n = {c.values['n']}"
              for c in one.contenders if (name := c.name) in one.varied]  # fmt: skip
    return [*(f"–: {reason}" for reason in one.gaps.values()), *varied]


def _plot(one: Sweep, quantity: str, device: Machine) -> Plot:
    curves = [Curve(name, _points(one.places, values)) for name, values in one.amounts[quantity].items()]
    return Plot(title_of(quantity, one.scope, device), "n", unit_of(quantity),
                tuple(curve for curve in curves if curve.points), _marks(one, quantity))  # fmt: skip


def _points(places: Sequence[int], values: Sequence[Value | None]) -> tuple[tuple[float, float], ...]:
    """What a logarithmic plot can show: values above 0 that a float can hold."""
    return tuple((float(place), float(value)) for place, value in zip(places, values, strict=True)
                 if value and max(place, value) < _LARGEST)  # fmt: skip


_LARGEST = 10**300


def _marks(one: Sweep, quantity: str) -> tuple[tuple[float, float], ...]:
    """The crossings of `quantity` between the ends of the sweep."""
    by_name = {contender.name: contender for contender in one.contenders}
    found: dict[tuple[float, float], None] = {}
    for meeting in one.meetings:
        if meeting.quantity == quantity and meeting.comparison:
            for crossing in meeting.comparison.crossings:
                at = crossing.settled or crossing.first
                value = by_name[meeting.second].amount(quantity, at)
                if one.places[0] <= at <= one.places[-1] and value and max(at, value) < _LARGEST:
                    found[float(at), float(value)] = None
    return tuple(found)


def _series(one: Sweep) -> list[dict[str, Any]]:
    return [
        {
            "technique": name,
            "scope": one.scope,
            "quantity": quantity,
            "unit": unit_of(quantity),
            "values": [None if value is None else exact_number(value) for value in values],
        }
        for quantity, by_name in one.amounts.items()
        for name, values in by_name.items()
    ]


def _gaps(one: Sweep) -> list[dict[str, Any]]:
    return [{"technique": name, "scope": one.scope, "reason": reason} for name, reason in one.gaps.items()]


def _records(one: Sweep) -> list[dict[str, Any]]:
    """One line of CSV per quantity, contender and length; where formulas do not apply there is no value."""
    return [
        {key: entry[key] for key in ("scope", "quantity", "unit", "technique")} | {"n": place, "value": value}
        for entry in _series(one)
        for place, value in zip(one.places, entry["values"], strict=True)
    ]
