"""The report on a function of the user's: formulas in its own symbols, in every notation."""

import json

import pytest

from tfcost.cost import Cost, Operation, Quantity, Step
from tfcost.formula import Formula
from tfcost.report.derived import derived_report
from tfcost.report.render import render

AMOUNTS = {"matmul_flops": Formula("2*rows*128*ceiling(rows/128)"), "read_bytes": Formula("4*rows")}
COST = Cost(
    technique="mine",
    implementation="torch",
    scope="function",
    pass_="forward",
    dtypes=("float32",),
    variant={},
    fixed={"width": 64},
    symbols=("rows",),
    quantities={
        "matmul_flops": Quantity(AMOUNTS["matmul_flops"], "traced"),
        "peak_bytes": Quantity(Formula("4*rows"), "traced", note="a note"),
    },
    steps=(Step("", AMOUNTS),),
    operations=(Operation("aten.mm", "", "mine.py:7", "x @ x.T", AMOUNTS),),
    assumptions=("rows is anything",),
)


def test_every_operation_stands_with_its_line() -> None:
    shown = render(derived_report([COST]), "table", width=120)
    assert "aten.mm         mine.py:7  x @ x.T" in shown
    assert "matmul FLOPs  2·rows²" in shown
    assert "matmul FLOPs: the formula shown supposes rows a multiple of 128" in shown
    assert "float32, sizes rows, width=64" in shown
    assert "peak memory: a note" in shown


def test_the_document_has_exact_formulas_and_classes() -> None:
    (result,) = json.loads(render(derived_report([COST]), "json"))["results"]
    assert result["quantities"]["matmul_flops"]["exact"] == AMOUNTS["matmul_flops"].text
    assert result["quantities"]["matmul_flops"]["theta"] == "rows**2"
    assert result["operations"][0]["location"] == "mine.py:7"


@pytest.mark.parametrize("notation", ["md", "csv", "latex"])
def test_other_notations(notation: str) -> None:
    assert "rows" in render(derived_report([COST]), notation)
