"""What would make a model fit: a configuration and an amount of memory in; options with their memory and time out.

Each option is the configuration with something else in it, composed anew: never a factor on the old numbers. Those that
compute the same model come with those that change it, marked as such.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

from tfcost.analysis.fit import Bytes, changed, largest_fit, peak_of
from tfcost.analysis.model import ModelCost, compose
from tfcost.analysis.predict import Machine
from tfcost.analysis.roofline import time_or_reason
from tfcost.book import Book
from tfcost.config.model import ModelConfig
from tfcost.errors import UserError

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A change to try: its `name`, the `fields` that are different, whether it is still the same model, and how often
    the pass then runs. Of one `kind` a model can have only one.
    """

    name: str
    kind: str
    fields: Fields
    same_model: bool = True
    turns: int = 1


@dataclass(frozen=True, slots=True)
class Remedy:
    """A change with what it comes to: the peak, and seconds for the same work as before (None: no prediction)."""

    change: Change
    peak: Bytes
    seconds: float | None
    fits: bool


@dataclass(frozen=True, slots=True)
class Remedies:
    """The model as it is, every option for itself, and all options together that keep the model."""

    memory: int
    peak: Bytes
    seconds: float | None
    options: tuple[Remedy, ...]
    together: Remedy | None

    @property
    def fits(self) -> bool:
        """Whether the model fits as it is."""
        return self.peak <= self.memory


def remedies(config: ModelConfig, book: Book, pass_: str, memory: int, device: Machine) -> Remedies:
    """Options for `config` in this pass: first those that fit, the fastest first; then the others, the smallest first.

    An option that the model cannot have (a head width without a kernel, say) is left out.
    """
    now = compose(config, book, pass_=pass_)
    changes = [*_changes(config, book, pass_), *_smaller_batch(config, book, pass_, memory)]
    options = [found for one in changes if (found := _tried(one, config, book, pass_, memory, device))]
    kept = [found for found in options if found.peak < peak_of(now)]
    together = _together(kept, config, book, pass_, memory, device)
    return Remedies(memory, peak_of(now), _seconds(now, device), tuple(sorted(kept, key=_rank)), together)


def _rank(option: Remedy) -> tuple[bool, float, float]:
    time = float("inf") if option.seconds is None else option.seconds
    return (False, time, float(option.peak)) if option.fits else (True, float(option.peak), time)


def _changes(config: ModelConfig, book: Book, pass_: str) -> Iterator[Change]:
    """Everything but the batch."""
    if config.attention == "standard":
        yield Change("flash attention", "attention", {"attention": "flash"})
    if pass_ == "train":
        yield from _training_changes(config)
    if config.causal and config.w is None and config.n > 1024:
        window = config.n // 4 - 1
        yield Change(f"sliding window of {window + 1} tokens", "attention",
                     {"attention": "sliding-window", "w": window}, False)  # fmt: skip
    for heads in _fewer_heads(config):
        yield Change(f"{heads} key/value heads", "heads", {"h_kv": heads}, False)


def _training_changes(config: ModelConfig) -> Iterator[Change]:
    training = config.training
    if training.recompute == "none":
        spacing = max(2, isqrt(config.L))
        for name, fields in (
            ("recompute attention", {"recompute": "selective"}),
            ("recompute every layer", {"recompute": "full"}),
            (f"recompute, a checkpoint every {spacing} layers", {"recompute": "every", "every": spacing}),
        ):
            yield Change(name, "recompute", {"training": fields})
    if training.optimizer == "adamw":
        yield Change("8-bit AdamW", "optimizer", {"training": {"optimizer": "adamw-8bit"}})


def _fewer_heads(config: ModelConfig) -> list[int]:
    """A quarter of the key/value heads, if they are as many as the heads."""
    quarter = config.h // 4
    return [quarter] if config.mla is None and config.kv_heads == config.h and config.h % 4 == 0 and quarter else []


def _smaller_batch(config: ModelConfig, book: Book, pass_: str, memory: int) -> Iterator[Change]:
    """The largest batch that fits, as often as it takes for the same number of sequences."""
    if config.b == 1:
        return
    found = largest_fit(config, book, pass_, "b", memory).largest
    if found is not None and found < config.b:
        turns = -(-config.b // found)
        if pass_ == "train":
            fields = {"b": found, "training": {"accumulate": turns * config.training.accumulate}}
            yield Change(f"batch {found}, gradients of {turns} added up", "batch", fields)
        else:
            yield Change(f"batch {found}, {turns} times", "batch", {"b": found}, turns=turns)


def _tried(change: Change, config: ModelConfig, book: Book, pass_: str, memory: int, device: Machine) -> Remedy | None:
    try:
        cost = compose(changed(config, book, **change.fields), book, pass_=pass_)
    except UserError:
        return None
    seconds, peak = _seconds(cost, device), peak_of(cost)
    return Remedy(change, peak, None if seconds is None else seconds * change.turns, peak <= memory)


def _together(
    options: Iterable[Remedy], config: ModelConfig, book: Book, pass_: str, memory: int, device: Machine
) -> Remedy | None:
    """All that keep the model, of every kind the one with the least memory; the batch stays as it is."""
    best: dict[str, Remedy] = {}
    for one in options:
        kind = one.change.kind
        if one.change.same_model and kind != "batch" and (kind not in best or one.peak < best[kind].peak):
            best[kind] = one
    if len(best) < 2:
        return None
    fields: dict[str, Any] = {}
    for one in best.values():
        training = {**fields.get("training", {}), **one.change.fields.get("training", {})}
        fields = {**fields, **one.change.fields, **({"training": training} if training else {})}
    name = " + ".join(one.change.name for one in best.values())
    return _tried(Change(name, "together", fields), config, book, pass_, memory, device)


def _seconds(cost: ModelCost, device: Machine) -> float | None:
    time = time_or_reason(cost, device)
    return None if isinstance(time, str) else time.prediction.seconds
