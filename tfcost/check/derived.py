"""A measured case in, what the book says about it out: quantities, traffic and predicted time at the case's sizes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tfcost.analysis.breakdown import predict_model
from tfcost.analysis.ceilings import Measured
from tfcost.analysis.conditions import broken
from tfcost.analysis.model import ModelCost, compose
from tfcost.analysis.predict import Prediction, predict
from tfcost.book import Book
from tfcost.config.load import make_config
from tfcost.cost import Cost
from tfcost.errors import UserError
from tfcost.evidence.record import Case

WIDTHS = {"bfloat16": 2, "float16": 2, "float32": 4}
_MOVED = ("read_bytes", "write_bytes")

MODEL = "model"
"""The technique of a case that is a whole model."""


@dataclass(frozen=True, slots=True)
class Derived:
    """The formulas that answer `case`, and the value of every symbol in them."""

    case: Case
    cost: Cost | ModelCost
    values: Mapping[str, int]

    def value(self, quantity: str, values: Mapping[str, int] | None = None) -> int | None:
        """The quantity at the case's sizes or other `values`, rounded up to a whole number; None if not derived."""
        found = self.cost.quantities.get(quantity)
        return None if found is None else -int(-found.exact.evaluate(values or self.values) // 1)

    def amount(self, name: str) -> int:
        """One of `cost.AMOUNTS`, summed over the steps of a technique."""
        assert isinstance(self.cost, Cost), "a model's steps are not summed here"
        return sum(int(step.amounts[name].evaluate(self.values)) for step in self.cost.steps if name in step.amounts)

    def prediction(self, ceilings: Measured) -> Prediction | None:
        """The predicted time on a machine with these `ceilings`; None where its dtype has no ceiling."""
        if self.case.dtype not in ceilings.matmul_flops:
            return None
        if isinstance(self.cost, ModelCost):
            return predict_model(self.cost, ceilings)
        return predict(self.cost, self.values, ceilings, self.case.dtype)

    @property
    def data_decides(self) -> bool:
        """Whether masks that depend on data make the derived bytes an upper bound."""
        return any(": at most:" in text for text in self.cost.assumptions)

    def sums(self) -> Iterator[tuple[int, int]]:
        """Rows and columns of each sum over rows that torch runs."""
        width = WIDTHS[self.case.dtype]
        for operation in self.cost.operations if isinstance(self.cost, Cost) else ():
            if operation.name == "aten.sum":
                read, written = (int(operation.amounts[name].evaluate(self.values)) for name in _MOVED)
                yield read // max(written, 1), written // (width * max(operation.launches, 1))

    def broken(self) -> list[str]:
        """The assumptions of the formulas that do not hold at the case's sizes."""
        return broken(self.cost.assumptions, self.values)


def derived_for(case: Case, book: Book) -> Derived:
    """What `book` says about `case`. UserError if it has no cost for it, or if a size in its formulas is missing."""
    if case.technique == MODEL:
        config = make_config(case.model, book.names)
        model = compose(config, book, pass_=case.pass_)
        return Derived(case, model, {**model.values, **case.sizes})
    values = filled(case.sizes)
    cost = book.find(case.technique, scope=case.scope, pass_=case.pass_, dtype=case.dtype, variant=case.variant,
                     values=values)  # fmt: skip
    missing = sorted(set(cost.symbols) - values.keys())
    if missing:
        raise UserError(f"{case.key}: no size for {', '.join(missing)}")
    return Derived(case, cost, values)


def filled(sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes with what follows from them where nothing else is said: m = n, h_kv = h, d = h*d_h."""
    values = dict(sizes)
    for name, leader in (("m", "n"), ("h_kv", "h")):
        if leader in values:
            values.setdefault(name, values[leader])
    if {"h", "d_h"} <= values.keys():
        values.setdefault("d", values["h"] * values["d_h"])
    return values
