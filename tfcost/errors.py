"""Errors meant for the person at the terminal: one or two lines, no traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad usage, configuration or file (exit code 2). The message says what is wrong and what would be right."""


class CannotMeasure(Exception):
    """The machine lacks what a measurement needs (exit code 3). The message says what and how to get it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint for a misspelt `name`: "; did you mean 'flash'?", or the list of `known` names if none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(names)}" if names else ""
