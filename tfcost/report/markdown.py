"""A page as Markdown: pipe tables, formulas as math."""

from tfcost.report.page import Amount, Cell, Class, Code, Page, Table
from tfcost.report.units import human


def markdown_text(page: Page) -> str:
    """The whole page."""
    parts = [f"## {page.title}", *page.lines]
    for table in page.tables:
        parts += _table(table)
    return "\n\n".join([*parts, *page.notes]) + "\n"


def _table(table: Table) -> list[str]:
    lines = [_row(table.columns), _row(["---"] * len(table.columns))]
    lines += [_row([_cell(cell) for cell in row]) for row in table.rows]
    return [*([f"### {table.title}"] if table.title else []), "\n".join(lines), *table.notes]


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(cell: Cell) -> str:
    match cell:
        case Amount(value, unit, best):
            return f"**{human(value, unit)}**" if best else human(value, unit)
        case Class(formula):
            return f"$\\Theta({formula.latex()})$"
        case Code(text):
            return f"`{text.replace('|', '&#124;')}`" if text else ""
        case str(text):
            return text.replace("|", "\\|")
        case formula:
            return f"${formula.latex()}$"
