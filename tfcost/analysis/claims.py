"""The source document's claims against derived classes: claim and costs in, both classes side by side out.

The document counts one head and the whole layer, so the derived class is also given for h = 1 and taken from the
largest scope that the book has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tfcost.analysis.answer import TIME, class_of, total
from tfcost.analysis.query import Query
from tfcost.analysis.theta import Theta
from tfcost.book import Book, Claim
from tfcost.cost import Cost
from tfcost.formula import Formula

_SCOPES = ("layer", "block", "core")
_QUANTITIES = {"time": TIME, "space": ("peak_bytes",)}


@dataclass(frozen=True, slots=True)
class CheckedClaim:
    """A claim, its class, and the derived ones at `scope`: for any number of heads and for one.

    Where the head width is fixed there is no single head of width d; heads of that width stand in for it.
    """

    claim: Claim
    scope: str
    claimed: Theta | None
    derived: Theta | None
    one_head: Theta | None

    @property
    def agrees(self) -> bool:
        """Whether the claim is the derived class for one head."""
        return self.claimed is not None and self.one_head is not None and self.claimed.text == self.one_head.text


def check_claims(query: Query, book: Book) -> tuple[CheckedClaim, ...]:
    """The claims about the technique of `query`, checked at the largest scope it has."""
    record = book.record(query.technique)
    scope = next((scope for scope in _SCOPES if any(cost.scope == scope for cost in record.costs)), query.scope)
    cost = replace(query, scope=scope).cost(book)
    return tuple(_checked(claim, cost, query.values) for claim in record.claims)


def _checked(claim: Claim, cost: Cost, values: Mapping[str, int]) -> CheckedClaim:
    names = _QUANTITIES.get(claim.quantity, (claim.quantity,))
    formula = total([cost.quantities[name].exact for name in names if name in cost.quantities])
    return CheckedClaim(
        claim,
        cost.scope,
        claimed=class_of(claim.formula, values, {}),
        derived=class_of(formula, values, cost.fixed),
        one_head=class_of(formula if "d_h" in cost.fixed else _one_head(formula), values, cost.fixed),
    )


def _one_head(formula: Formula) -> Formula:
    """`formula` for h = 1, where the head is as wide as the model."""
    one = {"h": 1, "h_kv": 1, "d_h": "d"}
    return formula.substitute({name: value for name, value in one.items() if name in formula.symbols})
