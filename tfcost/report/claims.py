"""What an explanation adds to a result: where it comes from, what the source document claims, the I/O bound."""

from collections.abc import Sequence
from typing import Any

from tfcost.analysis.claims import CheckedClaim
from tfcost.analysis.io import IoBound
from tfcost.analysis.tiling import tile_bound
from tfcost.book import TechniqueRecord
from tfcost.cost import TILED_MEMORY, TILED_TRAFFIC, Cost
from tfcost.report.page import Cell, Class, Table
from tfcost.report.words import class_cell

_CLAIM_COLUMNS = ("claim", "stated", "derived", "derived, h = 1", "scope", "agrees")
_IO_COLUMNS = ("bytes per head", "tile", "limited by", "for")
_ALIGNED = "for n keys, n a multiple of B_M, and B_M of B_N"


def claims_tables(claims: Sequence[CheckedClaim]) -> list[Table]:
    """Each claim beside the derived class; no table if there is no claim."""
    if not claims:
        return []
    rows = tuple(
        (
            f"{claim.claim.section} {claim.claim.quantity} {claim.claim.step}".rstrip(),
            *claim_cells(claim),
            claim.scope,
            _agrees(claim),
        )
        for claim in claims
    )
    return [Table("What the source document states, and what is derived", _CLAIM_COLUMNS, rows)]


def _agrees(claim: CheckedClaim) -> str:
    if claim.agrees:
        return f"for {claim.where}" if claim.where else "yes"
    return f"only for {claim.where}" if claim.where else "no"


def claim_cells(claim: CheckedClaim) -> tuple[Cell, Cell, Cell]:
    """What is stated, what is derived, and what is derived for one head: classes, or changes of a ratio."""
    if claim.change:
        return claim.change.stated, claim.change.text, ""
    return class_cell(claim.claimed), class_cell(claim.derived), class_cell(claim.one_head)


def io_tables(cost: Cost) -> list[Table]:
    """Traffic and on-chip memory by tile, and the class of the traffic when the tile fills the on-chip memory M; no
    table for what has no tile.
    """
    bound = tile_bound(cost)
    if bound is None:
        return []
    by_tile = (
        ("issued bytes per head", cost.composition[TILED_TRAFFIC]),
        ("on-chip memory", cost.composition[TILED_MEMORY]),
    )
    row = (Class(bound.theta.formula), Class(bound.tile), bound.binding, bound.theta.regime)
    return [
        Table("A tile of B_M queries and B_N keys", ("quantity", "formula"), by_tile, (_ALIGNED,)),
        Table("Traffic when the tile is as large as on-chip memory M allows", _IO_COLUMNS, (row,)),
    ]


def io_document(bound: IoBound) -> dict[str, str]:
    """The I/O bound for the JSON document."""
    return {
        "bytes": bound.theta.text,
        "regime": bound.theta.regime,
        "tile": bound.tile.text,
        "limited_by": bound.binding.text,
    }


def origin_notes(record: TechniqueRecord, assumptions: Sequence[str], workspace: Sequence[str]) -> list[str]:
    """What the formulas assume, and the sources and versions that they were derived from."""
    notes = [f"Assumes: {text}" for text in assumptions]
    notes += [f"Workspace: {text}" for text in workspace]
    notes += [f"Derived from {path} (SHA-256 {digest[:12]})" for path, digest in record.provenance.sources.items()]
    versions = ", ".join(f"{name} {version}" for name, version in record.provenance.versions.items())
    return [*notes, f"Derived with {versions}"] if versions else notes


def explanation_document(
    record: TechniqueRecord, claims: Sequence[CheckedClaim], workspace: Sequence[str]
) -> dict[str, Any]:
    """The "explanation" of the JSON document."""
    return {
        "title": record.title,
        "section": record.section,
        "summary": record.summary,
        "workspace": list(workspace),
        "provenance": {"sources": dict(record.provenance.sources), "versions": dict(record.provenance.versions)},
        "claims": [claim_document(claim) for claim in claims],
    }


def claim_document(claim: CheckedClaim) -> dict[str, Any]:
    """One claim for the JSON document."""
    return {
        "section": claim.claim.section,
        "quantity": claim.claim.quantity,
        "step": claim.claim.step,
        "formula": claim.claim.formula.text,
        "quote": claim.claim.quote,
        "scope": claim.scope,
        "claimed": claim.claimed.text if claim.claimed else None,
        "derived": claim.derived.text if claim.derived else None,
        "derived_one_head": claim.one_head.text if claim.one_head else None,
        "agrees": claim.agrees,
        "agrees_where": claim.where,
        **({"ratio": _ratio_document(claim)} if claim.change else {}),
    }


def _ratio_document(claim: CheckedClaim) -> dict[str, Any]:
    assert claim.change is not None
    return {
        "against": dict(claim.claim.against),
        **({"than": claim.claim.than} if claim.claim.than else {}),
        "claimed": [float(bound) for bound in claim.change.claimed],
        "derived": float(claim.change.ratio),
    }
