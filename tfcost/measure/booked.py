"""A case in, what the book says of it out: its cost, the memory it needs, how many kernels it launches. No torch."""

from tfcost.analysis.model import compose
from tfcost.book import Book
from tfcost.config.load import make_config
from tfcost.cost import Cost
from tfcost.evidence.record import Case


def cost_of(case: Case, book: Book) -> Cost:
    """The book's cost for a technique's case. UserError if it has none."""
    return book.find(case.technique, scope=case.scope, pass_=case.pass_, dtype=case.dtype, variant=case.variant,
                     values=case.sizes)  # fmt: skip


def techniques_of(case: Case, book: Book) -> tuple[str, ...]:
    """The techniques that a case runs: its own, or those of all parts of its model, in alphabetical order."""
    if case.technique != "model":
        return (case.technique,)
    composed = compose(make_config(case.model, book.names), book, pass_=case.pass_)
    return tuple(sorted({part.forward.technique for part in composed.parts}))


def predicted_launches(case: Case, book: Book, of_a_model: int) -> int:
    """How many kernels the case launches, about. What a model launches is not in the book: `of_a_model`."""
    if case.technique == "model":
        return of_a_model
    return sum(operation.launches for operation in cost_of(case, book).operations)


def predicted_peak(case: Case, book: Book) -> int:
    """The bytes that the case needs at most."""
    if case.technique == "model":
        composed = compose(make_config(case.model, book.names), book, pass_=case.pass_)
        return int(composed.quantities["peak_bytes"].exact.evaluate(composed.values))
    cost = cost_of(case, book)
    return int(cost.quantities["peak_bytes"].exact.evaluate({**case.sizes, **cost.fixed}))
