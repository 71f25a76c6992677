"""How large a model may be: a configuration, a symbol and an amount of memory in; the largest value that fits out.

The peak is composed once as a formula and searched along the symbol; the answer is then proven by composing the model
anew at it and at the value after it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tfcost.analysis.model import ModelCost, compose
from tfcost.book import Book
from tfcost.config.load import make_config
from tfcost.config.model import ModelConfig
from tfcost.errors import UserError, nearest

SOLVED = ("n", "b", "L")
"""What can be asked for."""

MOST = 2**40
"""Beyond this nothing is looked for."""

Bytes = int | Fraction


@dataclass(frozen=True, slots=True)
class Fit:
    """The `largest` value of `symbol` whose peak is at most `memory` (None: not even 1), the peaks at it and at the one
    after it; `limit` is why there is none after it.
    """

    symbol: str
    memory: int
    largest: int | None
    peak: Bytes
    peak_after: Bytes | None
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


def largest_fit(config: ModelConfig, book: Book, pass_: str, symbol: str, memory: int) -> Fit:
    """The largest `symbol` with which the model fits in `memory` bytes in this pass, all else as `config` says.

    UserError for a symbol that cannot be asked for.
    """
    most, limit = _most(config, symbol)
    formula = compose(config, book, pass_=pass_)
    exact, followers = formula.quantities["peak_bytes"].exact, _followers(config, symbol)

    def estimated(value: int) -> Bytes:
        return exact.evaluate({**formula.values, **dict.fromkeys(followers, value)})

    def composed(value: int) -> Bytes:
        return peak_of(compose(changed(config, book, **{symbol: value}), book, pass_=pass_))

    found = _largest(estimated, memory, 0, most)
    answer = _proven(composed, symbol, memory, found, most, limit)
    if answer is None:
        # Another variant of a part holds there: no formula for both sides, so every value is composed.
        answer = _proven(composed, symbol, memory, _largest(composed, memory, 0, most), most, limit)
    if answer is None:
        raise UserError(f"--solve {symbol}: memory does not grow with {symbol} from one value to the next")
    return answer


def _most(config: ModelConfig, symbol: str) -> tuple[int, str]:
    """The largest value there is, and why."""
    if symbol not in SOLVED:
        raise UserError(f"--solve: no model is solved for '{symbol}'{nearest(symbol, SOLVED)}")
    if symbol == "L" and config.layers is not None:
        raise UserError("--solve L: the layers of this model differ; only those of one kind can be more or fewer")
    if symbol == "n" and config.max_positions is not None:
        return config.max_positions, f"the model has {config.max_positions} positions"
    return MOST, f"{MOST} is the most that is looked for"


def _followers(config: ModelConfig, symbol: str) -> tuple[str, ...]:
    """The symbols that change with it: keys follow queries where nothing else is said."""
    return (symbol, "m") if symbol == "n" and config.m is None else (symbol,)


def _largest(peak: Callable[[int], Bytes], memory: int, low: int, most: int) -> int:
    """The largest value from `low` to `most` that fits, where all below it do; `low` fits, or is 0."""
    high = max(1, 2 * low)
    while high < most and peak(high) <= memory:
        low, high = high, 2 * high
    high = min(high, most)
    if peak(high) <= memory:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if peak(middle) <= memory else (low, middle)
    return low


def _proven(peak: Callable[[int], Bytes], symbol: str, memory: int, found: int, most: int, limit: str) -> Fit | None:
    """The answer `found`, if the model composed at it fits and the one after it does not."""
    if found == 0:
        least = peak(1)
        return Fit(symbol, memory, None, least, None) if least > memory else None
    here = peak(found)
    if here > memory:
        return None
    if found == most:
        return Fit(symbol, memory, found, here, None, limit)
    after = peak(found + 1)
    return Fit(symbol, memory, found, here, after) if after > memory else None
