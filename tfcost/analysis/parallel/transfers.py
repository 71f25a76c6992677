"""What GPUs exchange in a step, by collective and group: costs with their communication in, sums out.

`bytes` are those of the buffers that collectives are given; `sent` is what a GPU sends for them on a ring.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tfcost.analysis.model.algebra import added, over, times
from tfcost.book import Book
from tfcost.cost import Transfer
from tfcost.formula import Formula

WIDTHS = {"bfloat16": "2", "float16": "2", "float32": "4"}
# Messages from one GPU to another: all of them is sent.
_MESSAGES = ("shift", "send")


@dataclass(frozen=True, slots=True)
class Exchange:
    """All calls of one `collective` over one `group` (the symbol of its size) in a step."""

    collective: str
    group: str
    bytes: Formula
    calls: Formula
    sent: Formula


@dataclass(frozen=True, slots=True)
class Counted:
    """`transfers` in the model's symbols, `count` times a step, over the `groups` by the symbol that they have."""

    transfers: tuple[Transfer, ...]
    count: Formula
    groups: Mapping[str, Formula]


def exchanges_of(counted: Iterable[Counted], book: Book, dtype: str) -> tuple[Exchange, ...]:
    """The sums, in order of first appearance."""
    found: dict[tuple[str, str], list[tuple[Transfer, Formula, Formula]]] = {}
    for one in counted:
        for transfer in one.transfers:
            size = one.groups[transfer.group]
            found.setdefault((transfer.collective, size.text), []).append((transfer, one.count, size))
    return tuple(_exchange(collective, group, several, book, dtype) for (collective, group), several in found.items())


def _exchange(
    collective: str, group: str, several: list[tuple[Transfer, Formula, Formula]], book: Book, dtype: str
) -> Exchange:
    size = added(times(count, transfer.bytes) for transfer, count, _ in several)
    calls = added(times(count, transfer.calls) for transfer, count, _ in several)
    return Exchange(collective, group, size, calls, _sent(collective, size, several[0][2], book, dtype))


def _sent(collective: str, size: Formula, gpus: Formula, book: Book, dtype: str) -> Formula:
    if collective in _MESSAGES:
        return size
    variant = {"collective": collective.removesuffix("_max")}
    ring = book.find("ring-collectives", scope="collective", pass_="forward", dtype=dtype, variant=variant, values={})
    numbers = over(size, Formula(WIDTHS[dtype]))
    return added(one.bytes for one in ring.communication).substitute({"G": gpus, "N": numbers})
