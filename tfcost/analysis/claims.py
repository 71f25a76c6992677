"""The source document's claims against derived classes: claim and costs in, both classes side by side out.

The document counts one head, and now the attention alone, now with its projections. So the derived class is also given
for h = 1, at the scope where it is as claimed, or at the largest scope if it is so nowhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tfcost.analysis.answer import TIME, total
from tfcost.analysis.query import Query
from tfcost.analysis.shown import class_of
from tfcost.analysis.theta import Theta
from tfcost.book import Book, Claim
from tfcost.cost import Cost
from tfcost.errors import UserError
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
    """The claims about the technique of `query`, each checked at every scope that the query has a cost at."""
    costs = list(_costs(query, book))
    return tuple(_checked(claim, costs, query.values) for claim in book.record(query.technique).claims if costs)


def _costs(query: Query, book: Book) -> Iterator[Cost]:
    """The costs of the query at the scopes that the book has for it, the largest first."""
    for scope in _SCOPES:
        try:
            yield replace(query, scope=scope).cost(book)
        except UserError:
            continue


def _checked(claim: Claim, costs: Sequence[Cost], values: Mapping[str, int]) -> CheckedClaim:
    found = [_at(claim, cost, values) for cost in costs]
    return next((checked for checked in found if checked.agrees), found[0])


def _at(claim: Claim, cost: Cost, values: Mapping[str, int]) -> CheckedClaim:
    formula = total(_claimed_about(claim, cost))
    one_head = formula if "d_h" in cost.fixed else _one_head(formula)
    return CheckedClaim(
        claim,
        cost.scope,
        claimed=class_of(claim.formula, values, {}),
        derived=class_of(formula, values, cost.fixed),
        one_head=class_of(one_head, values, cost.fixed),
    )


def _claimed_about(claim: Claim, cost: Cost) -> list[Formula]:
    """The formulas that the claim is about: of one step, or of the whole cost."""
    names = _QUANTITIES.get(claim.quantity, (claim.quantity,))
    if claim.step:
        steps = [step for step in cost.steps if step.name == claim.step]
        return [step.amounts[name] for step in steps for name in names if name in step.amounts]
    return [cost.quantities[name].exact for name in names if name in cost.quantities]


def _one_head(formula: Formula) -> Formula:
    """`formula` for h = 1, where the head is as wide as the model."""
    one: dict[str, int | str] = {"h": 1, "h_kv": 1, "d_h": "d"}
    return formula.substitute({name: value for name, value in one.items() if name in formula.symbols})
