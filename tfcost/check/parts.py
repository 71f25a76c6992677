"""What a quantity is made of: a cost in, amounts per step and operation out, each with the source lines it comes from.

FLOPs and bytes are sums over operations. Peak memory is what is alive at the moment that is highest at usual sizes,
saved memory what the forward pass leaves; there a part is all that one kind of operation made.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tfcost.analysis import polynomial as poly
from tfcost.analysis.answer import ADDITIVE, added_amounts, total
from tfcost.check.sight import Sight
from tfcost.cost import Cost, Held, Operation
from tfcost.formula import Formula

SHARED = {"algorithmic_flops": "matmul_flops", "unique_bytes": "issued_bytes"}
"""Quantities that no operation has a share of, and the one whose parts tell why they change."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Source:
    """One operation's share of a part: its amount, its source line and that line's text."""

    amount: Formula
    location: str
    code: str


@dataclass(frozen=True, slots=True)
class Part:
    """The `amount` of an operation in a step, and the source lines that it comes from."""

    amount: Formula
    sources: tuple[Source, ...]


def parts_of(sight: Sight, quantity: str) -> dict[Key, Part]:
    """The parts of `quantity` by (step, operation), in the order in which they ran; none for what has no parts."""
    cost = sight.cost
    if quantity in ADDITIVE:
        return _grouped(_amounts(cost, quantity))
    if quantity == "peak_bytes" and cost.moments:
        highest = max(cost.moments, key=lambda moment: sight.value(moment.total))
        return _grouped(_held(highest.held))
    return _grouped(_held(cost.saved)) if quantity == "saved_bytes" else {}


def _amounts(cost: Cost, quantity: str) -> Iterator[tuple[Key, Source]]:
    for operation in cost.operations:
        amounts = added_amounts(quantity, operation.amounts)
        if amounts:
            source = Source(_sum(amounts), operation.location, operation.code)
            yield (operation.step, _name(operation)), source


def _name(operation: Operation) -> str:
    kernel = operation.launch.partition("#")[0]
    return f"{kernel}.{operation.name}" if kernel else operation.name


def _held(held: Iterable[Held]) -> Iterator[tuple[Key, Source]]:
    for one in held:
        yield (one.step, one.name), Source(one.bytes, one.location, one.code)


def _grouped(found: Iterable[tuple[Key, Source]]) -> dict[Key, Part]:
    groups: dict[Key, list[Source]] = {}
    for key, source in found:
        groups.setdefault(key, []).append(source)
    return {key: Part(_sum([one.amount for one in group]), tuple(group)) for key, group in groups.items()}


def _sum(amounts: Iterable[Formula]) -> Formula:
    """The sum, like terms collected: the same sum always has the same text."""
    return poly.to_formula(poly.expand(total(amounts).tree))
