"""A page as LaTeX: one tabularx per table; needs the packages booktabs and tabularx."""

from tfcost.report.page import Amount, Cell, Class, Code, Page, Table
from tfcost.report.units import human

_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "Θ": r"$\Theta$",
        "·": r"$\cdot$",
        "µ": r"$\mu$",
        "²": r"\textsuperscript{2}",
        "–": "--",
        "…": r"\ldots{}",
    }
    | {sign: f"\\{sign}" for sign in "#$%&_{}"}
)


def latex_text(page: Page) -> str:
    """The whole page, to be put into a document."""
    parts = ["% needs \\usepackage{booktabs,tabularx}", f"\\paragraph{{{_escaped(page.title)}}}"]
    parts += [_escaped(line) for line in page.lines]
    for table in page.tables:
        parts += _table(table)
    return "\n\n".join([*parts, *map(_escaped, page.notes)]) + "\n"


def _table(table: Table) -> list[str]:
    right = [any(isinstance(row[index], Amount) for row in table.rows) for index in range(len(table.columns))]
    kinds = "".join("r" if to_right else "l" for to_right in right[:-1]) + "X"
    lines = [
        f"\\begin{{tabularx}}{{\\linewidth}}{{{kinds}}}",
        "\\toprule",
        _row([_escaped(name) for name in table.columns]),
        "\\midrule",
        *(_row([_cell(cell) for cell in row]) for row in table.rows),
        "\\bottomrule",
        "\\end{tabularx}",
    ]
    title = [f"\\subparagraph{{{_escaped(table.title)}}}"] if table.title else []
    return [*title, "\n".join(lines), *map(_escaped, table.notes)]


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell) -> str:
    match cell:
        case Amount(value, unit, best):
            text = _escaped(human(value, unit))
            return f"\\textbf{{{text}}}" if best else text
        case Class(formula):
            return f"$\\Theta({formula.latex()})$"
        case Code(text):
            return f"\\texttt{{{_escaped(text)}}}"
        case str(text):
            return _escaped(text)
        case formula:
            return f"${formula.latex()}$"


def _escaped(text: str) -> str:
    return text.translate(_SPECIAL)
