"""The one error of this package: what is wrong with a formula and, where it has a place, a caret under that place."""

from tfcost.errors import UserError

_SHOWN = 36  # characters of the formula shown on each side of the place


class FormulaError(UserError):
    """A formula that cannot be read, converted or evaluated. `position` is the place (from 0) where it has one, and
    `reason` what is wrong there.
    """

    position: int | None = None
    reason: str = ""

    @classmethod
    def at(cls, text: str, position: int, message: str, what: str = "formula") -> "FormulaError":
        """The error `message` about the character of `text`, which is a `what`, at `position` (from 0), with an excerpt
        and a caret.
        """
        start, end = max(0, position - _SHOWN), position + _SHOWN
        before, after = "…" if start else "", "…" if end < len(text) else ""
        excerpt = "".join(character if character.isprintable() else " " for character in text[start:end])
        caret = " " * (len(before) + position - start) + "^"
        error = cls(f"{what}, column {position + 1}: {message}\n  {before}{excerpt}{after}\n  {caret}")
        error.position, error.reason = position, message
        return error
