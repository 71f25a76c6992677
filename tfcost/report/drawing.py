"""How figures look: matplotlib with one style, series told apart by marker and line style and not by colour alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tfcost.errors import UserError

COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f")
_MARKERS = "osD^vPX*"
_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (9, 3)))
_STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "tfcost",
    "svg.fonttype": "path",
}


@contextmanager
def drawing_style() -> Iterator[None]:
    """matplotlib, imported now, draws in this style and into files. UserError where it is not installed."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise UserError("plots need matplotlib: pip install 'transformer-cost[plot]'") from error
    mpl.use("agg")
    with mpl.rc_context(_STYLE):
        yield


def series_style(place: int) -> dict[str, Any]:
    """Colour, marker and line style of the series at `place`."""
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": _MARKERS[place % len(_MARKERS)],
        "linestyle": _LINES[place % len(_LINES)],
    }


def short_count(value: float) -> str:
    """A size on an axis: 512, 4k, 1M; k is 1024."""
    for size, sign in ((1024**2, "M"), (1024, "k")):
        if value >= size:
            return f"{value / size:.4g}{sign}"
    return f"{value:.4g}"
