"""A page for a terminal: aligned columns at any width, styles only where the terminal wants them."""

from collections.abc import Callable

from tfcost.report.layout import column_widths, fold, row_lines
from tfcost.report.page import Amount, Cell, Class, Code, Page, Plot, Table
from tfcost.report.units import human

_BEST = " *"
_LEGEND = "* the least of those compared"

Style = Callable[[str, str], str]


class TerminalWriter:
    """Writes pages `width` columns wide; with `styled`, bold and colour (never the only sign of anything)."""

    def __init__(self, width: int, styled: bool, ascii_only: bool) -> None:
        self.width = width
        self.ascii_only = ascii_only
        self._style = _rich_style() if styled else _no_style
        self._written: list[str] = []

    def text(self, page: Page) -> str:
        """The whole page."""
        self._written = []
        self._page(page)
        return "\n".join([*self._written, ""])

    def _page(self, page: Page) -> None:
        self._lines(page.title, "bold")
        for line in page.lines:
            self._lines(line)
        texts = [self._texts(table) for table in page.tables]
        shown: tuple[str, ...] = ()
        for table, rows in zip(page.tables, texts, strict=True):
            alike = [row for other, more in zip(page.tables, texts, strict=True) for row in more
                     if other.columns == table.columns]  # fmt: skip
            self._table(table, rows, column_widths([table.columns, *alike]), header=table.columns != shown)
            shown = () if table.plot else table.columns
        if page.notes:
            self._lines("")
        for note in page.notes:
            self._lines(note)
        if any(_is_best(cell) for table in page.tables for row in table.rows for cell in row):
            self._lines("")
            self._lines(_LEGEND)

    def _table(self, table: Table, rows: list[list[str]], widths: list[int], header: bool) -> None:
        right = [any(isinstance(row[index], Amount) for row in table.rows) for index in range(len(table.columns))]
        self._lines("")
        if table.title:
            self._lines(table.title, "bold")
        if header:
            self._print(row_lines(table.columns, widths, right, self.width), "dim")
        for row, cells in zip(rows, table.rows, strict=True):
            self._print(row_lines(row, widths, right, self.width), "green" if _all_best(cells) else "")
        if table.plot:
            self._plot(table.plot)
        for note in table.notes:
            self._lines(note, "italic")

    def _plot(self, plot: Plot) -> None:
        from tfcost.report.text_plot import plot_lines

        self._print([self._encoded(line) for line in plot_lines(plot, self.width, self.ascii_only)], "")

    def _texts(self, table: Table) -> list[list[str]]:
        return [[self._cell(cell, table, index) for index, cell in enumerate(row)] for row in table.rows]

    def _cell(self, cell: Cell, table: Table, index: int) -> str:
        match cell:
            case Amount(value, unit):
                text = human(value, unit)
                marked = any(_is_best(row[index]) for row in table.rows)
                mark = _BEST if _is_best(cell) else " " * len(_BEST)
                return self._encoded(text) + (mark if marked else "")
            case Class(formula):
                return f"{self._encoded('Θ')}({formula.pretty(self.ascii_only)})"
            case Code(text) | str(text):
                return self._encoded(text)
            case formula:
                return formula.pretty(self.ascii_only)

    def _lines(self, text: str, style: str = "") -> None:
        self._print(fold(self._encoded(text), self.width), style)

    def _print(self, lines: list[str], style: str) -> None:
        self._written += [self._style(line, style) for line in lines]

    def _encoded(self, text: str) -> str:
        return to_ascii(text) if self.ascii_only else text


def _no_style(line: str, style: str) -> str:
    return line


def _rich_style() -> Style:
    """Styles as escapes; rich is imported only where a terminal wants them."""
    from rich.color import ColorSystem
    from rich.style import Style as RichStyle

    return lambda line, style: RichStyle.parse(style).render(line, color_system=ColorSystem.STANDARD)


_ASCII = str.maketrans(
    {"Θ": "Theta", "·": "*", "µ": "u", "×": "x", "–": "-", "—": "-", "…": "...", "≥": ">=", "≤": "<="}
    | {sign: f"**{digit}" for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
)


def to_ascii(text: str) -> str:
    """The text with its usual signs spelt out; any other character becomes its escape."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def _is_best(cell: Cell) -> bool:
    return isinstance(cell, Amount) and cell.best


def _all_best(cells: tuple[Cell, ...]) -> bool:
    amounts = [cell for cell in cells if isinstance(cell, Amount)]
    return bool(amounts) and all(amount.best for amount in amounts)
