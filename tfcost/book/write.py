"""`TechniqueRecord` to book file: one formula per line, keys sorted where order has no meaning, replaced atomically."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfcost.book.place import operations_path
from tfcost.book.record import SCHEMA_VERSION, Claim, Option, TechniqueRecord
from tfcost.cost import Cost, Held, Operation, Quantity, Step, Transfer
from tfcost.files import write_atomically
from tfcost.formula import Formula


def write_record(record: TechniqueRecord, folder: Path) -> Path:
    """Writes `folder`/<technique>.json, and its operations in a folder beside it, and returns the path; an interrupted
    run leaves each old file whole.
    """
    path = folder / f"{record.technique}.json"
    details = operations_path(path)
    details.parent.mkdir(exist_ok=True)
    write_atomically(details, operations_text(record))
    write_atomically(path, record_text(record))
    return path


def operations_text(record: TechniqueRecord) -> str:
    """The operations of every cost: most of a book, and needed for one cost at a time."""
    return _written(
        {
            "technique": record.technique,
            "lines": _sorted({op.location: op.code for cost in record.costs for op in cost.operations if op.code}),
            "operations": [[_operation(operation) for operation in cost.operations] for cost in record.costs],
        }
    )


def record_text(record: TechniqueRecord) -> str:
    """The content of the book file of `record`: the same record always gives the same text."""
    return _written(_record(record))


def _written(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _record(record: TechniqueRecord) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "technique": record.technique,
        "title": record.title,
        "section": record.section,
        "implementation": record.implementation,
        "summary": record.summary,
        "options": {name: _option(option) for name, option in sorted(record.options.items())},
        "defaults": _sorted(record.defaults),
        "claims": [_claim(claim) for claim in record.claims],
        "provenance": {
            "sources": _sorted(record.provenance.sources),
            "versions": _sorted(record.provenance.versions),
        },
        "costs": [_cost(cost, place) for place, cost in enumerate(record.costs)],
    }


def _option(option: Option) -> dict[str, Any]:
    return {"values": list(option.values), "default": option.default, "meaning": option.meaning}


def _claim(claim: Claim) -> dict[str, Any]:
    ratio = {"ratio": [bound.text for bound in claim.ratio], "against": _sorted(claim.against)} if claim.ratio else {}
    than = {"than": claim.than} if claim.than else {}
    return {
        "section": claim.section,
        "quantity": claim.quantity,
        "formula": claim.formula.text,
        "quote": claim.quote,
        "step": claim.step,
        **ratio,
        **than,
    }


def _cost(cost: Cost, place: int) -> dict[str, Any]:
    return {
        "scope": cost.scope,
        "pass": cost.pass_,
        "dtypes": list(cost.dtypes),
        "variant": _sorted(cost.variant),
        "fixed": _sorted(cost.fixed),
        "symbols": list(cost.symbols),
        "assumptions": list(cost.assumptions),
        "workspace": list(cost.workspace),
        "quantities": {name: _quantity(quantity) for name, quantity in sorted(cost.quantities.items())},
        "steps": [_step(step) for step in cost.steps],
        "operations": {"list": place, "length": len(cost.operations)},
        "composition": _formulas(cost.composition),
        **({"communication": [_transfer(one) for one in cost.communication]} if cost.communication else {}),
        **({"memory": _memory(cost)} if cost.moments or cost.saved else {}),
    }


def _transfer(transfer: Transfer) -> dict[str, Any]:
    whole = {"bytes": transfer.bytes.text, "calls": transfer.calls.text}
    return {"collective": transfer.collective, "group": transfer.group, **whole}


def _quantity(quantity: Quantity) -> dict[str, Any]:
    readable = {"readable": quantity.readable.text, "regime": quantity.regime} if quantity.readable else {}
    note = {"note": quantity.note} if quantity.note else {}
    return {"exact": quantity.exact.text, "provenance": quantity.provenance, **readable, **note}


def _step(step: Step) -> dict[str, Any]:
    return {"name": step.name, "amounts": _formulas(step.amounts)}


def _operation(operation: Operation) -> dict[str, Any]:
    """The source line's text stands once in the file, under "lines"."""
    launch = {"launch": operation.launch} if operation.launch else {}
    launches = {"launches": operation.launches} if operation.launches != 1 else {}
    return {
        "name": operation.name,
        "step": operation.step,
        "location": operation.location,
        "amounts": _formulas(operation.amounts),
        **launch,
        **launches,
    }


def _memory(cost: Cost) -> dict[str, Any]:
    moments = [{"total": at.total.text, "held": [_held(one) for one in at.held]} for at in cost.moments]
    return {"moments": moments, "saved": [_held(one) for one in cost.saved]}


def _held(held: Held) -> dict[str, Any]:
    place = {"name": held.name, "step": held.step, "location": held.location, "code": held.code}
    return {**place, "bytes": held.bytes.text}


def _formulas(formulas: Mapping[str, Formula]) -> dict[str, str]:
    return {name: formula.text for name, formula in sorted(formulas.items())}


def _sorted(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(mapping.items()))
