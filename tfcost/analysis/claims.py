"""The source document's claims against derived classes: claim and costs in, both classes side by side out.

The document counts one head, and now the attention alone, now with its projections. So the derived class is also given
for h = 1, at the scope where it is as claimed, or at the largest scope if it is so nowhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tfcost.analysis.answer import total
from tfcost.analysis.model import ModelCost, compose
from tfcost.analysis.query import Query, choose_options, default_pass, default_scope, fill_sizes, offered_options
from tfcost.analysis.ratios import CLAIMED, Change, change
from tfcost.analysis.shown import class_of
from tfcost.analysis.theta import Theta
from tfcost.book import Book, Claim, TechniqueRecord
from tfcost.config.load import make_config
from tfcost.cost import Cost
from tfcost.errors import UserError
from tfcost.formula import Formula

_SCOPES = ("layer", "block", "core")
_WHERE = ("", "n >= d")


@dataclass(frozen=True, slots=True)
class CheckedClaim:
    """A claim, its class, and the derived ones at `scope`: for any number of heads and for one.

    `agrees`: the claim is the derived class for one head, where `where` holds ("": everywhere).
    Where the head width is fixed there is no single head of width d; heads of that width stand in for it.
    A claim about a ratio has no classes but a `change`; it agrees if that is as claimed at the sizes asked for.
    """

    claim: Claim
    scope: str
    claimed: Theta | None
    derived: Theta | None
    one_head: Theta | None
    agrees: bool
    where: str = ""
    change: Change | None = None

    @property
    def verdict(self) -> str:
        """In words: holds, holds for what, does not hold and what does, or undecided."""
        if self.agrees:
            one_head = self.claimed and self.derived and self.claimed.text != self.derived.text and not self.where
            conditions = [*(["one head"] if one_head else []), *([self.where] if self.where else [])]
            return f"holds for {' and '.join(conditions)}" if conditions else "holds"
        if self.change:
            return f"does not hold: {self.change.text}" + (f"; it does for {self.where}" if self.where else "")
        if self.derived is None:
            return "undecided: no regime settles the class of the derived formula"
        return f"does not hold: {self.derived.pretty()}"


def default_query(record: TechniqueRecord) -> Query:
    """The technique as it is by default, in half precision."""
    scope = default_scope(record)
    options = choose_options(offered_options(record, scope), {}, record.technique)
    sizes = fill_sizes({}, record.defaults)
    return Query(record.technique, scope, default_pass(record, scope), "bfloat16", options, sizes)


def check_claims(query: Query, book: Book) -> tuple[CheckedClaim, ...]:
    """The claims about the technique of `query`, each checked at every scope that the query has a cost at."""
    costs = list(_costs(query, book))
    found = []
    for claim in book.record(query.technique).claims:
        if claim.ratio is None and costs:
            found.append(_checked(claim, costs, query.values))
        elif (ratio := change(claim, query, book)) is not None:
            found.append(CheckedClaim(claim, ratio[0], None, None, None, ratio[1].agrees, ratio[1].where, ratio[1]))
    return tuple(found)


def check_by_default(record: TechniqueRecord, book: Book) -> tuple[CheckedClaim, ...]:
    """The claims about a technique as it is by default; about a chain of parts, those about the plain model."""
    if {cost.scope for cost in record.costs} == {"part"}:
        sizes = fill_sizes({})
        layers = {name: sizes[name] for name in ("n", "b", "d", "h", "L")}
        config = make_config({"name": record.title, **layers}, book.names)
        return check_model_claims(record.claims, compose(config, book))
    return check_claims(default_query(record), book)


def check_model_claims(claims: Sequence[Claim], cost: ModelCost) -> tuple[CheckedClaim, ...]:
    """The claims about a whole model, checked on `cost`."""
    fixed = {name: size for part in cost.parts for name, size in part.forward.fixed.items()}
    exact = {name: quantity.exact for name, quantity in cost.quantities.items()}
    return tuple(_at(claim, "model", exact, cost.values, fixed) for claim in claims)


def _costs(query: Query, book: Book) -> Iterator[Cost]:
    """The costs of the query at the scopes that the book has for it, the largest first."""
    for scope in _SCOPES:
        try:
            yield replace(query, scope=scope).cost(book)
        except UserError:
            continue


def _checked(claim: Claim, costs: Sequence[Cost], values: Mapping[str, int]) -> CheckedClaim:
    """The claim at the first scope where it holds, better everywhere than under a condition; else at the largest."""
    found = [_at(claim, cost.scope, _formulas(claim, cost), values, cost.fixed) for cost in costs]
    return min(found, key=lambda checked: (not checked.agrees, bool(checked.where)))


def _formulas(claim: Claim, cost: Cost) -> Mapping[str, Formula]:
    """The amounts of the step that the claim is about, or the quantities of the whole cost."""
    if claim.step:
        return next((step.amounts for step in cost.steps if step.name == claim.step), {})
    return {name: quantity.exact for name, quantity in cost.quantities.items()}


def _at(
    claim: Claim, scope: str, formulas: Mapping[str, Formula], values: Mapping[str, int], fixed: Mapping[str, int]
) -> CheckedClaim:
    names = CLAIMED.get(claim.quantity, (claim.quantity,))
    parts = [formulas[name] for name in names if name in formulas]
    if not parts:
        return CheckedClaim(claim, scope, class_of(claim.formula, values, {}), None, None, agrees=False)
    formula = total(parts)
    one_head = formula if "d_h" in fixed else _one_head(formula)
    claimed, derived = class_of(claim.formula, values, {}), class_of(one_head, values, fixed)
    where = next((text for text in _WHERE if _same(claim.formula, one_head, values, fixed, text)), None)
    if where is None and claimed and derived and claimed.text == derived.text:
        where = derived.regime
    whole = class_of(formula, values, fixed)
    return CheckedClaim(claim, scope, claimed, whole, derived, agrees=where is not None, where=where or "")


def _same(claimed: Formula, derived: Formula, values: Mapping[str, int], fixed: Mapping[str, int], where: str) -> bool:
    """Whether both have the same class where `where` holds."""
    classes = class_of(claimed, values, {}, where), class_of(derived, values, fixed, where)
    return classes[0] is not None and classes[1] is not None and classes[0].text == classes[1].text


def _one_head(formula: Formula) -> Formula:
    """`formula` for h = 1, where the head is as wide as the model."""
    one: dict[str, int | str] = {"h": 1, "h_kv": 1, "d_h": "d"}
    return formula.substitute({name: value for name, value in one.items() if name in formula.symbols})
