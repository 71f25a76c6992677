"""What is shown of a batch: per quantity its exact amount, the padded one (or that at once), and what lies between."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tfcost.analysis.batches import Amount as BatchAmount
from tfcost.analysis.batches import Batch
from tfcost.analysis.meetings import TIME
from tfcost.analysis.predict import Machine
from tfcost.analysis.side_by_side import least
from tfcost.quantities import QUANTITIES
from tfcost.report.page import Amount, Cell, Page, Report, Table
from tfcost.report.sweep import title_of, unit_of
from tfcost.report.units import Value, exact_number
from tfcost.report.words import percent

_SHOWN = ("matmul_flops", "scalar_flops", "algorithmic_flops", "issued_bytes", "peak_bytes", TIME)
_MOST_LISTED = 12


@dataclass(frozen=True, slots=True)
class Asked:
    """The `kind` of batch, as its option is called, and its `numbers`: lengths of sequences, or that of a chunk."""

    kind: str
    numbers: tuple[int, ...]

    @property
    def in_chunks(self) -> bool:
        """Whether it is a prompt in chunks, and not a batch of sequences."""
        return self.kind == "prefill-chunk"


@dataclass(frozen=True, slots=True)
class Batched:
    """The batch at one scope, by technique or model."""

    scope: str
    batches: Mapping[str, Batch]


@dataclass(frozen=True, slots=True)
class BatchTold:
    """What a report says beside its numbers: the command, what is asked about, lines of the page, and the top of the
    document with its "results".
    """

    command: str
    names: Sequence[str]
    lines: tuple[str, ...]
    document: Callable[[], Mapping[str, Any]]


def batch_report(asked: Asked, n: int, scopes: Sequence[Batched], told: BatchTold, device: Machine) -> Report:
    """The report of a batch at every scope; `n`: the tokens of a prompt; times are predicted on `device`."""
    return Report(
        page=lambda: Page(
            " vs ".join(told.names),
            (_sentence(asked, n), *told.lines),
            tuple(table for one in scopes for table in _tables(asked, one, device)),
        ),
        document=lambda: {**told.document(), "batch": _document(asked, n, scopes)},
        records=lambda: [entry for one in scopes for entry in _entries(one)],
    )


def _sentence(asked: Asked, n: int) -> str:
    """What the batch is."""
    if asked.in_chunks:
        length = asked.numbers[0]
        count, rest = -(-n // length), n % length
        return f"{n} tokens in {count} chunks of {length}" + (f", the last of {rest}" if rest and count > 1 else "")
    total, padded = sum(asked.numbers), len(asked.numbers) * max(asked.numbers)
    listed = ", ".join(map(str, asked.numbers[:_MOST_LISTED])) + (", ..." if len(asked.numbers) > _MOST_LISTED else "")
    where = " in their caches" if asked.kind == "cached" else ""
    share = percent(1 - total / padded) if total < padded else "none"
    return (f"{len(asked.numbers)} sequences of {listed} tokens{where}: {total}; padded to {max(asked.numbers)} each: "
            f"{padded}, {share} of them padding")  # fmt: skip


def _columns(asked: Asked) -> tuple[str, ...]:
    if asked.in_chunks:
        return "in chunks", "at once", "difference", "of at once", "in chunks, as a formula"
    return "exact", "padded", "waste", "of padded"


def _tables(asked: Asked, one: Batched, device: Machine) -> list[Table]:
    """One table per quantity; of a single technique or model, one table of all quantities."""
    present = [name for name in _SHOWN if any(name in batch.amounts for batch in one.batches.values())]
    if len(one.batches) == 1:
        (batch,) = one.batches.values()
        rows = [_row(asked, _label(name), name, batch.amounts[name], False) for name in present]
        notes = (*_conditions(one, present), *_notes(one), f"predicted time: on {device.label}")
        return [Table(one.scope, ("quantity", *_columns(asked)), tuple(rows), notes)]
    return [_quantity_table(asked, one, name, device) for name in present]


def _quantity_table(asked: Asked, one: Batched, quantity: str, device: Machine) -> Table:
    amounts = {name: batch.amounts[quantity] for name, batch in one.batches.items() if quantity in batch.amounts}
    smallest = least({name: found.exact for name, found in amounts.items() if found.exact is not None})
    rows = [_row(asked, name, quantity, found, name in smallest) for name, found in amounts.items()]
    notes = _conditions(one, [quantity]) + (_notes(one) if any(a.exact is None for a in amounts.values()) else [])
    title = title_of(quantity, one.scope, device)
    return Table(title, ("technique" if one.scope != "model" else "model", *_columns(asked)), tuple(rows), tuple(notes))


def _row(asked: Asked, label: str, quantity: str, found: BatchAmount, best: bool) -> tuple[Cell, ...]:
    unit, between = unit_of(quantity), _between(asked, found)
    cells: list[Cell] = [
        label,
        "–" if found.exact is None else Amount(found.exact, unit, best),
        "–" if found.plain is None else Amount(found.plain, unit),
        "–" if between is None else Amount(between, unit),
        "–" if between is None or not found.plain else percent(float(_ratio(between, found.plain)), asked.in_chunks),
    ]
    if asked.in_chunks:
        cells.append(found.formula or "")
    return tuple(cells)


def _between(asked: Asked, found: BatchAmount) -> Value | None:
    """What padding wastes; what chunks cost more than all at once."""
    if found.exact is None or found.plain is None:
        return None
    more = found.exact - found.plain
    return more if asked.in_chunks else -more


def _ratio(value: Value, base: Value) -> Fraction:
    return Fraction(value) / Fraction(base)


def _conditions(one: Batched, quantities: Sequence[str]) -> list[str]:
    """What the shown formulas suppose."""
    found: dict[str, None] = {}
    for batch in one.batches.values():
        for quantity in quantities:
            if quantity in batch.amounts and batch.amounts[quantity].under:
                found[batch.amounts[quantity].under] = None
    return [f"formulas: for {under}" for under in found]


def _notes(one: Batched) -> list[str]:
    return [f"{name}: {note}" for name, batch in one.batches.items() for note in batch.notes]


def _label(quantity: str) -> str:
    return "predicted time" if quantity == TIME else QUANTITIES[quantity].label


def _document(asked: Asked, n: int, scopes: Sequence[Batched]) -> dict[str, Any]:
    return {
        "kind": asked.kind,
        "numbers": list(asked.numbers),
        **({"n": n} if asked.in_chunks else {}),
        "against": "at once" if asked.in_chunks else "padded",
        "entries": [entry for one in scopes for entry in _entries(one)],
        "notes": [f"{one.scope}, {note}" for one in scopes for note in _notes(one)],
    }


def _entries(one: Batched) -> list[dict[str, Any]]:
    return [
        {
            "technique": name,
            "scope": one.scope,
            "quantity": quantity,
            "unit": unit_of(quantity),
            "exact": None if found.exact is None else exact_number(found.exact),
            "plain": None if found.plain is None else exact_number(found.plain),
            "formula": found.formula.text if found.formula else None,
            "formula_holds_for": found.under,
        }
        for name, batch in one.batches.items()
        for quantity, found in batch.amounts.items()
    ]
