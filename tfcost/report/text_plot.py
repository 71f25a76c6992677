"""A log-log plot as text: a `Plot` and a width in; lines of braille dots or plain ASCII out, none where too narrow.

Every curve carries letters of its own, so that a plot reads without colour; a cross is where two curves meet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log10
from string import ascii_uppercase

from tfcost.report.layout import fold
from tfcost.report.page import Plot
from tfcost.report.units import human

_ROWS, _WIDEST, _NARROWEST = 11, 72, 24
_DOTS = (0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80)  # of a braille cell, by row and column
_CURVES = ascii_uppercase[:23]  # X is a crossing


def plot_lines(plot: Plot, width: int, ascii_only: bool) -> list[str]:
    """The lines of `plot`, of at most `width` characters; none if its axes have no room or there are no two points."""
    xs = [log10(x) for curve in plot.curves for x, _ in curve.points]
    ys = [log10(y) for curve in plot.curves for _, y in curve.points]
    if len(set(xs)) < 2 or len(plot.curves) > len(_CURVES):
        return []
    ends = [human(10 ** max(ys), plot.unit), human(10 ** min(ys), plot.unit)]
    margin = max(map(len, ends)) + 1
    columns = min(width, _WIDEST) - margin - 1
    if columns < _NARROWEST:
        return []
    canvas = _Canvas(columns, _ROWS, (min(xs), max(xs)), (min(ys), max(ys)), ascii_only)
    canvas.draw(plot)
    labels = [ends[0], *[""] * (_ROWS - 2), ends[1]]
    edge = "|" if ascii_only else "│"
    lines = [f"{label:>{margin - 1}} {edge}{row}".rstrip() for label, row in zip(labels, canvas.rows(), strict=True)]
    axis = " " * (margin + 1) + _axis(plot, 10 ** min(xs), 10 ** max(xs), columns)
    return [*lines, axis, *fold(_legend(plot, canvas.cross), width)]


def _axis(plot: Plot, low: float, high: float, columns: int) -> str:
    """The ends of the horizontal axis, and its symbol between them."""
    left, right = (f"{end:.0f}" if end < 1e9 else f"{end:.3g}" for end in (low, high))
    return left + plot.symbol.center(columns - len(left) - len(right)) + right


def _legend(plot: Plot, cross: str) -> str:
    names = [f"{letter} {curve.name}" for letter, curve in zip(_CURVES, plot.curves, strict=False)]
    return "  ".join([*names, *([f"{cross} crossover"] if plot.marks else [])])


@dataclass
class _Canvas:
    """Cells of characters over cells of dots; coordinates are logarithms within `xs` and `ys`."""

    columns: int
    height: int
    xs: tuple[float, float]
    ys: tuple[float, float]
    ascii_only: bool

    def __post_init__(self) -> None:
        self.dots = [[0] * self.columns for _ in range(self.height)]
        self.letters: dict[tuple[int, int], str] = {}
        self.cross = "X" if self.ascii_only else "×"

    def draw(self, plot: Plot) -> None:
        for place, curve in enumerate(plot.curves):
            points = [(log10(x), log10(y)) for x, y in curve.points]
            for start, end in pairwise(points):
                self._line(start, end)
            for point in _lettered(points, place, len(plot.curves)):
                self.letters.setdefault(self._cell(point), _CURVES[place])
        for x, y in plot.marks:
            self.letters[self._cell((log10(x), log10(y)))] = self.cross

    def rows(self) -> Iterator[str]:
        for row, cells in enumerate(self.dots):
            yield "".join(self.letters.get((row, column), self._shown(dots)) for column, dots in enumerate(cells))

    def _shown(self, dots: int) -> str:
        if not dots:
            return " "
        return "." if self.ascii_only else chr(0x2800 + dots)

    def _line(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        steps = 2 * max(self.columns * 2, self.height * 4)
        for step in range(steps + 1):
            share = step / steps
            column, row = self._dot([one + share * (two - one) for one, two in zip(start, end, strict=True)])
            self.dots[row // 4][column // 2] |= _DOTS[row % 4][column % 2]

    def _dot(self, point: Sequence[float]) -> tuple[int, int]:
        """Column and row, counted from the top, of the dot at a point."""
        x, y = (_share(value, ends) for value, ends in zip(point, (self.xs, self.ys), strict=True))
        return round(x * (2 * self.columns - 1)), round((1 - y) * (4 * self.height - 1))

    def _cell(self, point: Sequence[float]) -> tuple[int, int]:
        column, row = self._dot(point)
        return row // 4, column // 2


def _share(value: float, ends: tuple[float, float]) -> float:
    low, high = ends
    return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5


def _lettered(points: Sequence[tuple[float, float]], place: int, curves: int) -> list[tuple[float, float]]:
    """The points that carry the curve's letter: of close curves, each at other points than its neighbours."""
    return [point for index, point in enumerate(points) if len(points) <= curves or index % curves == place % curves]
