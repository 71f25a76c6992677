"""Rows of text to lines of a given width: aligned columns where they fit, the rest of a row below it where not.

Nothing is ever cut off: numbers stay whole, long formulas are folded at their operators.
"""

import re
from collections.abc import Sequence

_GAP = 2
_INDENT = 4
_ENOUGH = 24  # columns that a folded last cell needs to be worth a place beside the others


def column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """The width of the widest cell of every column."""
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def row_lines(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool], width: int) -> list[str]:
    """One row as lines of at most `width` characters (a single word longer than that stays whole).

    `right` tells which columns are right-aligned. The columns that do not fit go below, indented.
    """
    beside = _fitting(widths, width)
    last_folds = beside == len(widths)
    aligned = beside - 1 if last_folds else beside
    padded = [
        cell.rjust(size) if to_right else cell.ljust(size)
        for cell, size, to_right in zip(cells[:aligned], widths, right, strict=False)
    ]
    line = (" " * _GAP).join(padded)
    if last_folds:
        start = sum(widths[:aligned]) + _GAP * aligned
        first, *more = fold(cells[-1].rjust(widths[-1]) if right[-1] else cells[-1], width - start)
        before = line + " " * _GAP if aligned else ""
        return [(before + first).rstrip(), *(" " * start + text for text in more)]
    rest = (" " * _GAP).join(cell for cell in cells[beside:] if cell)
    return [line.rstrip(), *(" " * _INDENT + text for text in fold(rest, width - _INDENT) if text)]


def fold(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width`, broken at spaces, else after an operator or comma; words stay whole."""
    lines, line = [], ""
    for piece in _pieces(text, width):
        if line.strip() and len((line + piece).rstrip()) > width:
            lines.append(line.rstrip())
            line, piece = "", piece.lstrip()
        line += piece
    return [*lines, line.rstrip()]


def _pieces(text: str, width: int) -> list[str]:
    """Words with the space before them; a word longer than a line is split after its operators."""
    pieces: list[str] = []
    for word in re.findall(r"\s*\S+", text):
        pieces += [word] if len(word) <= width else re.findall(r".+?(?:\*\*|[·*/+,(]|$)", word)
    return pieces


def _fitting(widths: Sequence[int], width: int) -> int:
    """How many columns fit on one line; all of them if the last one has at least room to be folded in."""
    used = 0
    for index, size in enumerate(widths):
        last = index == len(widths) - 1
        if used + (min(size, _ENOUGH) if last else size) > width:
            return max(index, 1)
        used += size + _GAP
    return len(widths)
