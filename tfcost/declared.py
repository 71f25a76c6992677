"""Facts about numbers that only real data has: `declare(tensor, value)` says what an index tensor's elements count as.

Outside a derivation nothing happens. Inside one, a Triton kernel that reads an element of the tensor reads `value`; the
kernel's cost is then a formula of it, and the technique says what it stands for (`Variant.declared`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Listener = Callable[[Any, str, Any], None]
_listeners: list[Listener] = []


def declare(tensor: Any, value: str, at_most: Any = None) -> None:
    """Every element of the integer `tensor` counts as `value`, a formula; a plain symbol is 1 or more, and `at_most`
    (a size) that where it is given.
    """
    for listener in _listeners:
        listener(tensor, value, at_most)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Calls `listener(tensor, value, at_most)` for every declaration of the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.pop()
