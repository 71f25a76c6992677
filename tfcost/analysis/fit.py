"""How large a model may be: a configuration, a symbol and an amount of memory in; the largest value that fits out.

The peak is composed once as a formula and searched along the symbol; the answer is then proven by composing the model
anew at it and at the value after it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from tfcost.analysis.model import ModelCost, compose
from tfcost.book import Book
from tfcost.config.load import make_config
from tfcost.config.model import LayerRun, ModelConfig
from tfcost.errors import UserError, nearest

SOLVED = ("n", "b", "L")
"""What can be asked for."""

MOST = 2**40
"""Beyond this nothing is looked for."""

Bytes = int | Fraction


@dataclass(frozen=True, slots=True)
class Fit:
    """The `largest` value of `symbol` whose peak is at most `memory` (None: not even the `least`), the peaks at it and
    at the one `after` it; `limit` is why there is none after it.
    """

    symbol: str
    memory: int
    least: int
    largest: int | None
    peak: Bytes
    peak_after: Bytes | None
    after: int | None = None
    limit: str = ""


def changed(config: ModelConfig, book: Book, **fields: Any) -> ModelConfig:
    """`config` with other `fields`; those of `training` are put over the given ones. UserError that names an option."""
    given = config.model_dump(exclude_unset=True)
    if "training" in fields:
        fields["training"] = {**given.get("training", {}), **fields["training"]}
    return make_config({**given, **fields}, book.names)


def peak_of(cost: ModelCost) -> Bytes:
    """The peak of a composed model at its sizes."""
    return cost.quantities["peak_bytes"].exact.evaluate(cost.values)


@dataclass(frozen=True, slots=True)
class _Axis:
    """The values of a symbol that there are: at place i = 1, 2, … up to `most` it is `base` + `width`*i. `limit` says
    why there are no more, `followers` are the symbols that have the same value.
    """

    symbol: str
    most: int
    limit: str
    followers: tuple[str, ...]
    base: int = 0
    width: int = 1

    def value(self, place: int) -> int:
        """The symbol's value at a place."""
        return self.base + self.width * place


def largest_fit(config: ModelConfig, book: Book, pass_: str, symbol: str, memory: int) -> Fit:
    """The largest `symbol` with which the model fits in `memory` bytes in this pass, all else as `config` says. Where
    layers differ, L grows by whole repetitions of the longest run.

    UserError for a symbol that cannot be asked for.
    """
    axis = _axis(config, symbol)
    formula = compose(config, book, pass_=pass_)
    exact = formula.quantities["peak_bytes"].exact

    def estimated(place: int) -> Bytes:
        return exact.evaluate({**formula.values, **dict.fromkeys(axis.followers, axis.value(place))})

    def composed(place: int) -> Bytes:
        return peak_of(compose(changed(config, book, **_fields(config, axis, place)), book, pass_=pass_))

    answer = _proven(composed, axis, memory, _largest(estimated, memory, axis.most))
    if answer is None:
        # Another variant of a part holds there: no formula for both sides, so every value is composed.
        answer = _proven(composed, axis, memory, _largest(composed, memory, axis.most))
    if answer is None:
        raise UserError(f"--solve {symbol}: memory does not grow with {symbol} from one value to the next")
    return answer


def _axis(config: ModelConfig, symbol: str) -> _Axis:
    if symbol not in SOLVED:
        raise UserError(f"--solve: no model is solved for '{symbol}'{nearest(symbol, SOLVED)}")
    looked = f"{MOST} is the most that is looked for"
    if symbol == "L" and config.layers is not None:
        longest, width = _longest(config)
        others = config.L - longest.count * width
        return _Axis(symbol, MOST, looked, (symbol,), others, width)
    followers = (symbol, "m") if symbol == "n" and config.m is None else (symbol,)
    if symbol == "n" and config.max_positions is not None:
        return _Axis(symbol, config.max_positions, f"the model has {config.max_positions} positions", followers)
    return _Axis(symbol, MOST, looked, followers)


def _longest(config: ModelConfig) -> tuple[LayerRun, int]:
    """The run with the most layers, and the layers of its pattern."""
    assert config.layers is not None
    longest = max(config.layers, key=lambda run: run.count * len(run.pattern))
    return longest, len(longest.pattern)


def _fields(config: ModelConfig, axis: _Axis, place: int) -> dict[str, Any]:
    """What is different in the configuration at a place."""
    fields: dict[str, Any] = {axis.symbol: axis.value(place)}
    if axis.symbol == "L" and config.layers is not None:
        longest, _ = _longest(config)
        runs = [{**run.model_dump(exclude_unset=True), **({"count": place} if run is longest else {})}
                for run in config.layers]  # fmt: skip
        fields["layers"] = runs
    return fields


def _largest(peak: Callable[[int], Bytes], memory: int, most: int) -> int:
    """The last place of 0 to `most` that fits, where all before it do."""
    low, high = 0, 1
    while high < most and peak(high) <= memory:
        low, high = high, 2 * high
    high = min(high, most)
    if peak(high) <= memory:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if peak(middle) <= memory else (low, middle)
    return low


def _proven(peak: Callable[[int], Bytes], axis: _Axis, memory: int, found: int) -> Fit | None:
    """The answer at the place `found`, if the model composed there fits and that at the next place does not."""
    least = Fit(axis.symbol, memory, axis.value(1), None, 0, None)
    if found == 0:
        first = peak(1)
        return replace(least, peak=first) if first > memory else None
    here = peak(found)
    if here > memory:
        return None
    least = replace(least, largest=axis.value(found), peak=here)
    if found == axis.most:
        return replace(least, limit=axis.limit)
    after = peak(found + 1)
    return replace(least, after=axis.value(found + 1), peak_after=after) if after > memory else None
