"""Meetings of compared costs as sentences for a table and as entries of the JSON document."""

from collections.abc import Sequence
from typing import Any

from tfcost.analysis.meetings import Meeting


def sentences(meetings: Sequence[Meeting], quantity: str) -> list[str]:
    """For every pair in `quantity`, which is cheaper where along n; a pair that is the only one is not named again."""
    pairs_named = len({(meeting.first, meeting.second) for meeting in meetings}) > 1
    return [
        (f"{meeting.first}, {meeting.second}: " if pairs_named else "") + _told(meeting)
        for meeting in meetings
        if meeting.quantity == quantity
    ]


def _told(meeting: Meeting) -> str:
    if meeting.comparison is None:
        return f"no crossover found: {meeting.reason}"
    return meeting.comparison.sentence(meeting.first, meeting.second)


def crossover_documents(meeting: Meeting, scope: str) -> list[dict[str, Any]]:
    """The crossings of two contenders for the JSON document; none if one is never dearer."""
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
