"""Names for the parts of a technique: `with step("scores"):` around the code that computes them.

Outside a derivation a label costs one list append; inside, every operation is filed under the innermost label.
Labels nest for reading only: the innermost one counts.
"""

from collections.abc import Iterator
from contextlib import contextmanager

_active: list[str] = []


@contextmanager
def step(name: str) -> Iterator[None]:
    """Files the operations of the block under `name` ("projections", "scores", "softmax", ...)."""
    _active.append(name)
    try:
        yield
    finally:
        _active.pop()


def current_step() -> str:
    """The innermost active label, or "" outside every label."""
    return _active[-1] if _active else ""
