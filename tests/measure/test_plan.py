"""The plan of a full run: what it covers, that the book answers for every case, and how a command line narrows it."""

from collections import defaultdict

import pytest

from tfcost.book import load_book
from tfcost.errors import UserError
from tfcost.measure.booked import cost_of, predicted_peak
from tfcost.measure.plan import Selection, make_plan

BOOK = load_book()
PLAN = make_plan(BOOK, Selection())
LENGTHS = ("n", "m", "w", "p")
# Blocks and parts that no sweep runs by themselves: they are measured inside of whole models.
NOT_ALONE = {"block", "part", "stage", "schedule", "collective"}
OF_MODELS = {name for name in BOOK.names if {cost.scope for cost in BOOK.record(name).costs} <= NOT_ALONE}
SWEPT = set(BOOK.names) - (OF_MODELS - {"transformer", "optimizers"})


def test_every_case_has_all_that_its_formulas_need() -> None:
    assert not PLAN.left_out
    assert len({case.key for case in PLAN.cases}) == len(PLAN.cases)
    for case in PLAN.cases:
        cost = cost_of(case, BOOK)
        for quantity in cost.quantities.values():
            quantity.exact.evaluate(case.sizes)
        for step in cost.steps:
            for amount in step.amounts.values():
                amount.evaluate(case.sizes)
        assert predicted_peak(case, BOOK) > 0


def test_every_technique_and_pass_of_the_book_is_measured() -> None:
    measured = {(case.technique, case.scope, case.pass_) for case in PLAN.cases}
    for name in SWEPT:
        for cost in BOOK.record(name).costs:
            if (cost.scope, cost.pass_) not in ((("block"), "forward"), ("block", "backward"), ("layer", "generation")):
                assert (name, cost.scope, cost.pass_) in measured


def test_six_lengths_odd_ones_two_widths_and_two_values_of_each_parameter() -> None:
    lengths, widths, own = defaultdict(set), defaultdict(set), defaultdict(set)
    for case in PLAN.cases:
        lengths[case.technique] |= {case.sizes[name] for name in LENGTHS if name in case.sizes}
        widths[case.technique] |= {case.sizes["d_h"]} if "d_h" in case.sizes else set()
        for name in ("k", "w", "g", "s", "c", "E", "f", "t"):
            if name in case.sizes:
                own[case.technique, name].add(case.sizes[name])
    for name in SWEPT - {"transformer", "optimizers"}:
        assert len(lengths[name]) >= 6, name
        if name not in ("ffn", "moe"):
            assert widths[name] == {64, 128}, name
    single = [key for key, values in own.items() if len(values) < 2 and key not in (("recompute", "f"), ("moe", "f"))]
    assert single == []
    odd = {case.technique for case in PLAN.cases for name in LENGTHS if case.sizes.get(name, 0) % 64}
    # Those that only know whole blocks or experts that divide a batch have no odd lengths.
    assert SWEPT - odd <= {"top-k", "cluster", "transformer", "optimizers"}


def test_short_sequences_come_first() -> None:
    first = PLAN.cases[: len(PLAN.cases) // 3]
    assert {case.technique for case in first} == SWEPT


def test_narrowed() -> None:
    chosen = Selection(("flash",), (1024, 3), ("forward",), ("float16",), {"causal": "TRUE"}, (128,))
    for case in make_plan(BOOK, chosen).cases:
        assert (case.technique, case.pass_, case.dtype) == ("flash", "forward", "float16")
        assert case.variant["causal"] is True
        assert (case.sizes["d_h"], case.sizes["h"]) == (128, 6)
        assert case.sizes["n"] in (1024, 3)


def test_what_no_formula_holds_for_is_left_out() -> None:
    plan = make_plan(BOOK, Selection(("top-k",), (1000,)))
    assert plan.cases == ()
    assert "n = 1000 is not a multiple of 64" in {reason for _, reason in plan.left_out}


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(("flsh",)), "did you mean 'flash'"),
        (Selection(passes=("bakward",)), "did you mean 'backward'"),
        (Selection(options={"casual": "true"}), "did you mean 'causal'"),
        (Selection(widths=(100,)), "--d-h 100: it does not divide d = 768"),
    ],
)
def test_unknown_names(selection: Selection, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_plan(BOOK, selection)
