"""The digest of a module's code: what changes it and what does not."""

from tfcost.derive.sources import code_digest

CODE = '''"""Says what the module does."""

import math  # for pi

RATE = 2


def area(r: float) -> str:
    """Of a circle."""
    # squared
    text = "# not a comment"
    f"{r} " """kept: no docstring, it is joined to a string"""
    return f"{text}{math.pi * r**2:.2f}"
'''
SAME = (
    ("Says what", "Tells\nin two lines what"),
    ("  # for pi", ""),
    ("    # squared\n", "    # times itself\n\n"),
    ('"""Of a circle."""', '"""The area\n\n    of a circle.\n    """'),
)
OTHER = (
    ("RATE = 2", "RATE = 3"),
    ("# not a comment", "# not a remark"),
    ("r**2", "r ** 2"),
    ("    return", "    r += 1\n    return"),
)


def test_remarks_are_no_code() -> None:
    for before, after in SAME:
        assert before in CODE
        assert code_digest(CODE.replace(before, after)) == code_digest(CODE), before


def test_code_is() -> None:
    for before, after in OTHER:
        assert before in CODE
        assert code_digest(CODE.replace(before, after)) != code_digest(CODE), before
