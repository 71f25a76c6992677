"""Numbers that count the operations they go through, to write formulas of which value and cost are both known."""

import math
from collections.abc import Callable, Sequence
from typing import Any


class Number:
    """A number that counts the operations it goes through."""

    operations = 0

    def __init__(self, value: float) -> None:
        self.value = value

    @classmethod
    def made(cls, value: float) -> "Number":
        """The result of an operation."""
        cls.operations += 1
        return cls(value)

    def __add__(self, other: Any) -> "Number":
        return Number.made(self.value + plain(other))

    def __sub__(self, other: Any) -> "Number":
        return Number.made(self.value - plain(other))

    def __rsub__(self, other: Any) -> "Number":
        return Number.made(plain(other) - self.value)

    def __mul__(self, other: Any) -> "Number":
        return Number.made(self.value * plain(other))

    def __truediv__(self, other: Any) -> "Number":
        return Number.made(self.value / plain(other))

    def __rtruediv__(self, other: Any) -> "Number":
        return Number.made(plain(other) / self.value)

    def __pow__(self, other: Any) -> "Number":
        return Number.made(self.value ** plain(other))

    def __neg__(self) -> "Number":
        return Number.made(-self.value)

    __radd__, __rmul__ = __add__, __mul__


def plain(number: Any) -> float:
    return number.value if isinstance(number, Number) else number


def _function(compute: Callable[..., float]) -> Callable[..., Number]:
    return lambda *numbers: Number.made(compute(*map(plain, numbers)))


exp, log, tanh, erf, sqrt, greater, smaller, size_of = map(
    _function, (math.exp, math.log, math.tanh, math.erf, math.sqrt, max, min, abs)
)


def counted(formula: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    Number.operations = 0
    return formula(*arguments), Number.operations


def add_up(numbers: Sequence[Any]) -> Any:
    result = Number(0.0)
    for number in numbers:
        result = result + number
    return result


def largest(numbers: Sequence[Any]) -> Any:
    result = Number(-math.inf)
    for number in numbers:
        result = greater(result, number)
    return result
