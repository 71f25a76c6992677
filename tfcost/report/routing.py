"""What an explanation says of a mixture of experts: its cost where tokens are not spread evenly over the experts."""

from typing import Any

from tfcost.analysis.routing import RANDOM, Spread, Uneven
from tfcost.quantities import QUANTITIES
from tfcost.report.page import Amount, Cell, Table
from tfcost.report.units import exact_number

_COLUMNS = ("quantity", "even", "random, on average", "worst")


def routing_tables(found: Uneven | None) -> list[Table]:
    """What depends on the routing, for three of them; no table where nothing does."""
    if found is None:
        return []
    rows = tuple(_row(one) for one in found.quantities)
    tiles = (
        f"tiles of {one.rows} rows: {one.tiles:.2f} on average; {one.closed} is at most {one.off:.2g} off"
        for one in found.tiles
    )
    return [Table("Tokens spread unevenly over the experts", _COLUMNS, rows, (f"random: {RANDOM}", *tiles))]


def _row(one: Spread) -> tuple[Cell, ...]:
    kind = QUANTITIES[one.quantity]
    return kind.label, Amount(one.even, kind.unit), Amount(one.expected, kind.unit), Amount(one.worst, kind.unit)


def routing_document(found: Uneven) -> dict[str, Any]:
    """The same for the JSON document."""
    return {
        "random": RANDOM,
        "quantities": {
            one.quantity: {"even": exact_number(one.even), "expected": one.expected, "worst": exact_number(one.worst)}
            for one in found.quantities
        },
        "tiles": [
            {"rows": one.rows, "expected": one.tiles, "formula": one.closed.text, "formula_off_at_most": one.off}
            for one in found.tiles
        ],
    }
