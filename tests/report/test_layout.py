"""Folding and alignment: nothing is lost, nothing is wider than asked, columns stand under each other."""

from hypothesis import given
from hypothesis import strategies as st

from tfcost.report.layout import column_widths, fold, row_lines

WORD = st.text(alphabet="ab·*+()", min_size=1, max_size=30)
CELLS = st.lists(st.lists(WORD, min_size=1, max_size=5).map(" ".join), min_size=3, max_size=3)


@given(st.lists(WORD, max_size=12).map(" ".join), st.integers(min_value=5, max_value=60))
def test_folding_loses_nothing(text: str, width: int) -> None:
    assert "".join("".join(fold(text, width)).split()) == "".join(text.split())


@given(st.lists(st.text(alphabet="ab", min_size=1, max_size=9), max_size=12).map(" ".join))
def test_folded_words_stay_whole_and_within_the_width(text: str) -> None:
    lines = fold(text, 10)
    assert " ".join(lines).split() == text.split()
    assert all(len(line) <= 10 for line in lines)


def test_a_long_formula_is_folded_after_operators() -> None:
    assert fold("4·b·h·n·m·d_h + 8·n", 10) == ["4·b·h·n·m·", "d_h + 8·n"]


@given(st.lists(CELLS, min_size=1, max_size=4), st.integers(min_value=10, max_value=90))
def test_rows_lose_nothing_and_align(rows: list[list[str]], width: int) -> None:
    widths = column_widths(rows)
    for row in rows:
        lines = row_lines(row, widths, [False, False, False], width)
        assert "".join("".join(lines).split()) == "".join("".join(row).split())
        assert lines[0].startswith(row[0])


def test_columns_that_do_not_fit_go_below() -> None:
    row = ["technique", "307.2 GFLOP", "4·b·h·n·m·d_h + 8·b·n·h²·d_h²"]
    widths = column_widths([row])
    assert row_lines(row, widths, [False, True, False], 60) == ["  ".join(row)]
    assert row_lines(row, widths, [False, True, False], 30) == [
        "technique  307.2 GFLOP",
        "    4·b·h·n·m·d_h +",
        "    8·b·n·h²·d_h²",
    ]
