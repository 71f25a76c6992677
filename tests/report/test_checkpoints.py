"""What an explanation shows of a stack that keeps checkpoints, and of a claim about a ratio."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import tfcost.report
from tfcost.analysis.answer import answer
from tfcost.analysis.claims import check_claims
from tfcost.analysis.query import Query, fill_sizes
from tfcost.book import Book, Claim, Option, Provenance, TechniqueRecord, write_record
from tfcost.cost import CHECKPOINTED_ACTIVATIONS, CHECKPOINTED_PEAK, Cost, Quantity
from tfcost.formula import Formula
from tfcost.report.explain import explain_report
from tfcost.report.page import Page, Report, Table

SCHEMA = json.loads((Path(tfcost.report.__file__).parent / "result.schema.json").read_text(encoding="utf-8"))


def cost(policy: str, flops: str, peak: str, keeps: bool) -> Cost:
    composition = {CHECKPOINTED_ACTIVATIONS: Formula("n*d*L/s + 4*n*d*s"),
                   CHECKPOINTED_PEAK: Formula("n*d*L/s + 4*n*d*s + L*d**2*s")} if keeps else {}  # fmt: skip
    quantities = {"matmul_flops": Quantity(Formula(flops), "summed"), "peak_bytes": Quantity(Formula(peak), "summed")}
    return Cost("again", "torch", "stack", "train", ("bfloat16",), {"policy": policy}, {}, ("L", "d", "n"), quantities,
                (), (), composition=composition)  # fmt: skip


@pytest.fixture
def book(tmp_path: Path) -> Book:
    options = {"policy": Option(("none", "layer"), "layer", "what is computed again")}
    bounds = (Formula("6/5"), Formula("13/10"))
    claims = (Claim("3.2", "time", Formula("1"), "20-30 %", ratio=bounds, against={"policy": "none"}),)
    costs = (cost("layer", "5*L*n*d**2", "9*L*n*d", True), cost("none", "4*L*n*d**2", "L*n*d", False))
    record = TechniqueRecord("again", "Again", "3.2", "torch", "Made up.", options, {}, claims, Provenance(), costs)
    write_record(record, tmp_path)
    return Book(tmp_path)


def report(book: Book, policy: str = "layer") -> Report:
    values = fill_sizes({"n": 10, "d": 4, "h": 2, "L": 16})
    query = Query("again", "stack", "train", "bfloat16", {"policy": policy}, values)
    return explain_report(answer(query, book), book.record("again"), check_claims(query, book))


def table(page: Page, title: str) -> Table:
    (found,) = [one for one in page.tables if one.title.startswith(title)]
    return found


def test_every_divisor_is_a_row_and_the_least_is_marked(book: Book) -> None:
    """16/s + 4*s is 20, 16, 20, 34 and 65 times 40 bytes; 16*16*s comes on top in the peak."""
    rows: Any = table(report(book).page(), "Every s that divides L = 16").rows
    assert [row[:2] for row in rows] == [("1", "16"), ("2", "8"), ("4", "4"), ("8", "2"), ("16", "1")]
    assert [row[2].value for row in rows] == [40 * times for times in (20, 16, 20, 34, 65)]
    assert [row[3].value - row[2].value for row in rows] == [256 * s for s in (1, 2, 4, 8, 16)]
    assert [row[2].best for row in rows] == [False, True, False, False, False]
    assert [row[3].best for row in rows] == [True, False, False, False, False]


def test_the_rule_is_shown_with_its_classes(book: Book) -> None:
    found = table(report(book).page(), "A checkpoint every s layers")
    rows: Any = found.rows
    assert [row[0] for row in rows] == ["activations", "least at s", "segments then", "activations then"]
    assert rows[1][1] == "2.00"
    assert [row[2].formula.pretty() for row in rows[1:]] == ["L^(1/2)"] * 3
    assert any("from L = 4 on" in note for note in found.notes)


def test_a_ratio_is_shown_as_a_change(book: Book) -> None:
    found: Any = table(report(book).page(), "What the source document states")
    assert found.rows[0][1:] == ("+20.0 % to +30.0 %", "+25.0 %", "", "stack", "for n >= 1")


def test_the_document_fits_its_schema(book: Book) -> None:
    document = report(book).document()
    jsonschema.validate(document, SCHEMA)
    explanation = document["explanation"]
    assert explanation["checkpoints"]["best_spacing"] == 2
    assert explanation["claims"][0]["ratio"] == {"against": {"policy": "none"}, "claimed": [1.2, 1.3], "derived": 1.25}


def test_what_keeps_everything_has_no_spacing(book: Book) -> None:
    shown = report(book, "none")
    assert not [one for one in shown.page().tables if "checkpoint" in one.title]
    assert "checkpoints" not in shown.document()["explanation"]
    jsonschema.validate(shown.document(), SCHEMA)
