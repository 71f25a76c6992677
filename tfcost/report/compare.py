"""What `compare` shows: per quantity the techniques under each other and where the cheaper one changes."""

from collections.abc import Sequence
from typing import Any

from tfcost.analysis.answer import Evaluated
from tfcost.analysis.predict import Machine
from tfcost.analysis.side_by_side import COMPARED, TIME, Meeting, SideBySide
from tfcost.quantities import QUANTITIES
from tfcost.report.document import answer_document, header, used_symbols
from tfcost.report.page import Amount, Cell, Code, Page, Report, Table
from tfcost.report.records import quantity_records
from tfcost.report.words import class_cell, conditions, options_text, sizes_line

_COLUMNS = ("technique", "value", "class", "formula")
_TOTALS = ("matmul_flops", "issued_bytes", "peak_bytes")  # what is shown of the scopes after the first


def compare_report(scopes: Sequence[SideBySide], device: Machine, exact: bool = False) -> Report:
    """The comparison at every scope in `scopes`, times predicted on `device`; `exact`: tables with exact formulas."""
    return Report(
        page=lambda: _page(scopes, device, exact),
        document=lambda: _document(scopes),
        records=lambda: quantity_records(_results(scopes)),
    )


def _page(scopes: Sequence[SideBySide], device: Machine, exact: bool) -> Page:
    answers = [answer for scope in scopes for answer in scope.answers]
    first = answers[0].query
    options = dict.fromkeys(f"{one.query.technique}: {options_text(one)}" for one in answers)
    lines = (f"{first.pass_}, {first.dtype}, {sizes_line(used_symbols(answers))}", *options)
    tables = _tables(scopes[0], COMPARED, device, exact)
    for scope in scopes[1:]:
        tables += _tables(scope, _TOTALS, device, exact)
    return Page(" vs ".join(dict.fromkeys(one.query.technique for one in answers)), lines, tuple(tables))


def _document(scopes: Sequence[SideBySide]) -> dict[str, Any]:
    answers = [answer for scope in scopes for answer in scope.answers]
    crossovers = [
        entry for scope in scopes for meeting in scope.meetings for entry in _crossovers(meeting, scope.scope)
    ]
    return header("compare", answers[0].query.dtype, used_symbols(answers)) | {
        "results": _results(scopes),
        "crossovers": crossovers,
    }


def _results(scopes: Sequence[SideBySide]) -> list[dict[str, Any]]:
    return [answer_document(one, scope.times[one.query.technique]) for scope in scopes for one in scope.answers]


def _tables(scope: SideBySide, quantities: Sequence[str], device: Machine, exact: bool) -> list[Table]:
    present = [name for name in quantities if any(name in answer.quantities for answer in scope.answers)]
    tables = [_quantity_table(scope, name, exact) for name in present]
    return [*tables, _time_table(scope, device), _class_table(scope)]


def _quantity_table(scope: SideBySide, quantity: str, exact: bool) -> Table:
    smallest = scope.smallest(quantity)
    entries = {one.query.technique: one.quantities[quantity] for one in scope.answers if quantity in one.quantities}
    rows = tuple(_row(name, entry, name in smallest, exact) for name, entry in entries.items())
    notes = [] if exact else conditions(entries.items())
    title = f"{scope.scope}: {QUANTITIES[quantity].label}"
    return Table(title, _COLUMNS, rows, (*_sentences(scope, quantity), *notes))


def _row(name: str, entry: Evaluated, best: bool, exact: bool) -> tuple[Cell, ...]:
    formula = entry.exact if exact else entry.formula
    return Code(name), Amount(entry.value, entry.kind.unit, best), class_cell(entry.theta), formula


def _time_table(scope: SideBySide, device: Machine) -> Table:
    """Predicted times; the last column says what bounds them."""
    smallest = scope.smallest(TIME)
    rows: list[tuple[Cell, ...]] = []
    for answer in scope.answers:
        name, time = answer.query.technique, scope.times[answer.query.technique]
        if time is None:
            rows.append((Code(name), "", class_cell(answer.time), "no prediction: the sizes are too large"))
        else:
            bound = f"bound by {time.bound} ({100 * time.shares[time.bound]:.0f} % of the time)"
            rows.append((Code(name), Amount(time.seconds, "s", name in smallest), class_cell(answer.time), bound))
    title = f"{scope.scope}: time on {device.label}, a prediction"
    return Table(title, _COLUMNS, tuple(rows), tuple(_sentences(scope, TIME)))


def _class_table(scope: SideBySide) -> Table:
    rows = tuple((Code(one.query.technique), class_cell(one.time), class_cell(one.space)) for one in scope.answers)
    return Table(f"{scope.scope}: classes", ("technique", "time", "space"), rows)


def _sentences(scope: SideBySide, quantity: str) -> list[str]:
    """For every pair of techniques, which is cheaper where along n."""
    sentences = []
    for meeting in scope.meetings:
        if meeting.quantity == quantity:
            pair = "" if len(scope.answers) == 2 else f"{meeting.first}, {meeting.second}: "
            found = meeting.comparison
            told = found.sentence(meeting.first, meeting.second) if found else f"no crossover found: {meeting.reason}"
            sentences.append(pair + told)
    return sentences


def _crossovers(meeting: Meeting, scope: str) -> list[dict[str, Any]]:
    """The crossings of two techniques for the JSON document; none if one is never dearer."""
    if meeting.comparison is None:
        return []
    names = (meeting.first, meeting.second)
    return [
        {
            "quantity": meeting.quantity,
            "scope": scope,
            "symbol": meeting.comparison.symbol,
            "between": list(names),
            **({"from": meeting.comparison.low} if meeting.comparison.low > 1 else {}),
            "at": crossing.first,
            "settled_at": crossing.settled,
            "cheaper_below": None if crossing.below is None else names[crossing.below],
            "cheaper_above": None if crossing.above is None else names[crossing.above],
            "formula": crossing.closed.text if crossing.closed else None,
            "exact": meeting.exact,
        }
        for crossing in meeting.comparison.crossings
    ]
