"""What a report shows, apart from how: tables of typed cells, which every renderer writes in its own notation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfcost.formula import Formula
from tfcost.report.units import Value


@dataclass(frozen=True, slots=True)
class Amount:
    """A value with its unit; `best` marks the smallest of those it is compared with."""

    value: Value
    unit: str
    best: bool = False


@dataclass(frozen=True, slots=True)
class Class:
    """A class Θ(formula)."""

    formula: Formula


@dataclass(frozen=True, slots=True)
class Code:
    """Program text or a place in it."""

    text: str


Cell = str | Amount | Formula | Class | Code


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a plot: its name and its points, both coordinates above 0."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves over a size, both axes logarithmic; `symbol` is that of the size, `unit` that of the values, `marks` are
    the points at which curves cross.
    """

    title: str
    symbol: str
    unit: str
    curves: tuple[Curve, ...]
    marks: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title, notes below. Tables with the same columns are aligned with each other. A `plot` shows the
    same numbers where there is room for it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    plot: Plot | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report: the title, lines that say what it holds for, the tables, and closing notes."""

    title: str
    lines: tuple[str, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One result in all its forms, each made when it is asked for: the page to read, the JSON document, and flat
    records for CSV, which all have the same keys.
    """

    page: Callable[[], Page]
    document: Callable[[], Mapping[str, Any]]
    records: Callable[[], Sequence[Mapping[str, Any]]]
