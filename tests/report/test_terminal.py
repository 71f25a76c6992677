"""Pages on terminals: alignment, marks beside colour, plain ASCII."""

from tfcost.formula import Formula
from tfcost.report.page import Amount, Class, Code, Page, Table
from tfcost.report.terminal import TerminalWriter, to_ascii

TABLE = Table(
    "matmul FLOPs",
    ("technique", "value", "class", "formula"),
    (
        (Code("one"), Amount(3000, "FLOP"), Class(Formula("n**2*d")), Formula("4*b*n**2*d")),
        (Code("another"), Amount(12, "FLOP", best=True), "open", Formula("12")),
    ),
    ("a note",),
)
PAGE = Page("title", ("a line",), (TABLE,), ("the end",))


def test_a_page_without_styles() -> None:
    assert TerminalWriter(80, styled=False, ascii_only=False).text(PAGE).splitlines() == [
        "title",
        "a line",
        "",
        "matmul FLOPs",
        "technique      value  class    formula",
        "one        3 kFLOP    Θ(n²·d)  4·b·n²·d",
        "another    12 FLOP *  open     12",
        "a note",
        "",
        "the end",
        "",
        "* the least of those compared",
    ]


def test_styles_change_nothing_but_the_style() -> None:
    plain, styled = (TerminalWriter(80, styled, ascii_only=False).text(PAGE) for styled in (False, True))
    assert "\x1b[" in styled
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[3m", "\x1b[32m"):
        styled = styled.replace(code, "")
    assert styled == plain


def test_ascii_only() -> None:
    shown = TerminalWriter(80, styled=False, ascii_only=True).text(PAGE)
    assert shown.isascii()
    assert "Theta(n**2*d)" in shown
    assert to_ascii("3·n² ≥ 5 µs 注") == r"3*n**2 >= 5 us \u6ce8"
