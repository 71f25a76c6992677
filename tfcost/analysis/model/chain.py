"""The parts of a model in the order in which data passes through them: a configuration in; runs of layers out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tfcost.analysis.conditions import require
from tfcost.analysis.model.algebra import ONE, ZERO
from tfcost.analysis.model.cache import in_pages, kept_of
from tfcost.analysis.model.names import Names
from tfcost.analysis.model.part import Part, cache_bytes
from tfcost.analysis.model.runs import Layer, Run, counted, counts, distinct, single
from tfcost.analysis.model.select import Choice, attention_of, network_of, parallel_of
from tfcost.analysis.model.two_stacks import encoder_decoder
from tfcost.book import Book
from tfcost.book.record import OptionValue
from tfcost.config.layer import LayerFields
from tfcost.config.model import ModelConfig
from tfcost.config.runs import layers_of
from tfcost.cost import Cost
from tfcost.errors import UserError
from tfcost.formula import Formula

PASSES = ("forward", "train", "prefill", "decode")


class Builder:
    """Looks parts up, each of a kind once, and gives their symbols names in the model. `idle` are runs that the pass
    does not need, but whose weights are there.
    """

    def __init__(self, config: ModelConfig, book: Book, pass_: str) -> None:
        self.config, self.book, self.pass_ = config, book, pass_
        self.base = {"n": config.n, "m": config.m or config.n, "b": config.b, "L": config.L}
        self.base |= {} if config.V is None else {"V": config.V}
        own = {} if config.encoder is None else {"n_enc": config.encoder.n, "L_enc": config.encoder.L}
        self.names = Names(config.values | self.base | own)
        self.idle: list[Run] = []
        self._found: dict[object, Part] = {}

    def beside(self, pass_: str, **sizes: int) -> "Builder":
        """One for other parts of the same model, in another pass or with other sizes; their names are kept apart."""
        other = Builder(self.config, self.book, pass_)
        other.names, other._found, other.base = self.names, self._found, {**self.base, **sizes}
        return other

    def chain(self) -> list[Run]:
        """The whole model. UserError for a part that the book does not have or whose formulas do not hold."""
        if self.config.positions == "relative":
            return encoder_decoder(self)
        return counted([*self._before(), *self._layers(), *self.after()])

    def _before(self) -> Iterator[Run]:
        if self.config.V is not None:
            yield single(self.part(self.embedding()))

    def embedding(self) -> Choice:
        """The embedding of tokens."""
        config = self.config
        variant: dict[str, OptionValue] = {"part": "embedding", "positions": config.positions == "learned",
                   "segments": config.token_types > 0, "norm": config.embedding_norm}  # fmt: skip
        return self._end("embedding", "transformer", variant)

    def _layers(self) -> Iterator[Run]:
        runs = layers_of(self.config)
        for run, count in zip(runs, counts(runs), strict=True):
            yield Run(count, tuple(self._layer(layer) for layer in run.pattern))

    def _layer(self, layer: LayerFields) -> Layer:
        if layer.parallel != "none":
            return (self.part(parallel_of(layer)),)
        return self.part(attention_of(layer, self.book)), self.part(network_of(layer))

    def after(self) -> Iterator[Run]:
        """What stands after the layers: a norm, and a head or a loss."""
        config = self.config
        if config.norm in ("pre", "sandwich"):
            yield single(self.part(self.last_norm()))
        special = {"bias": config.head_bias, "softcap": config.head_softcap}
        technique, variant = ("decoder-ends", special) if any(special.values()) else ("transformer", {})
        if self.pass_ == "train" and config.head == "none":
            yield single(self.part(self._end("loss", "transformer", {"part": "loss"})))
        elif self.pass_ == "train":
            yield single(self.part(self._end("head", technique, {"part": "head and loss", **variant})))
        elif config.head != "none":
            # After a prompt, only its last token's logits are asked for.
            last = {"n": "1"} if self.pass_ == "prefill" else {}
            yield single(self.part(self._end("head", technique, {"part": "head", **variant}, last)))

    def last_norm(self) -> Choice:
        """The norm after the last layer."""
        technique = "decoder-ends" if self.config.norm_kind == "rms" else "transformer"
        return self._end("norms", technique, {"part": "norm"})

    def _end(
        self, name: str, technique: str, variant: Mapping[str, OptionValue], formulas: Mapping[str, str] | None = None
    ) -> Choice:
        values = {"d": self.config.d}
        values |= {} if self.config.max_positions is None else {"P": self.config.max_positions}
        values |= {"S": self.config.token_types} if self.config.token_types else {}
        return Choice(name, technique, "part", variant, values, formulas or {})

    def part(self, choice: Choice) -> Part:
        """The part for `choice`; the same one for the same choice."""
        key = (choice.technique, choice.scope, *sorted(choice.variant.items()), *sorted(choice.values.items()),
               *sorted(choice.renamed.items()))  # fmt: skip
        if key not in self._found:
            taken = [part.name for part in self._found.values()]
            named = replace(choice, name=_free(choice.name, taken))
            self._found[key] = self._looked_up(named)
        return self._found[key]

    def _looked_up(self, choice: Choice) -> Part:
        values = {**self.base, **choice.values}
        forward = self._cost(choice.technique, choice.scope, "forward", choice.variant, values)
        run, formulas, cached = forward, choice.formulas, (ZERO, ZERO)
        step = self._decode_cost(choice, values) if self.pass_ in ("decode", "prefill") else None
        if self.pass_ == "decode":
            run = step or forward
            formulas = {**choice.formulas, **({} if step else {"n": "1"}), **choice.decode_formulas}
        training = self._training(choice, values) if self.pass_ == "train" else (None, None)
        symbols = {name for cost in (run, forward, *training) if cost for name in _symbols(cost)}
        renamed = choice.renamed
        meanings = self.names.meanings(symbols | ({"m"} if step else set()), values, formulas, renamed)
        weights = self.names.meanings(_symbols(forward), values, {**formulas, **choice.weight_formulas}, renamed)
        local = {**values, **self.names.evaluated(meanings)}
        require(run.assumptions, local, choice.technique)
        if step:
            cached = self._cached(step, choice, values, meanings)
        shares = "" if step and self.pass_ == "decode" else choice.shares
        return Part(choice.name, ONE, run, *training, forward, *cached, meanings, weights, shares, local)

    def _cached(
        self, step: Cost, choice: Choice, values: Mapping[str, int], meanings: Mapping[str, Formula]
    ) -> tuple[Formula, Formula]:
        """Bytes of the part's cache, of the tokens alone and in pages; after a prompt its tokens are there."""
        # The keys of an encoder are not those of the tokens so far.
        tokens = "m" if self.pass_ == "decode" or choice.shares == "memory" else "n"
        kept = choice.decode_formulas.get("m", "m")
        exact, paged = (
            self.names.meanings(["m"], values, {"m": text}, choice.renamed)
            for text in (kept_of(kept, tokens), in_pages(kept, tokens))
        )
        size = cache_bytes(step)
        return size.substitute({**meanings, **exact}), size.substitute({**meanings, **paged})

    def _decode_cost(self, choice: Choice, values: Mapping[str, int]) -> Cost | None:
        if choice.decode is None:
            if choice.attends:
                raise UserError(f"--pass {self.pass_}: {choice.technique} has no decode step here")
            return None
        technique, variant = choice.decode
        return self._cost(technique, "block", "decode", variant, values)

    def _training(self, choice: Choice, values: Mapping[str, int]) -> tuple[Cost | None, Cost | None]:
        record = self.book.record(choice.technique)
        if not any(cost.scope == choice.scope and cost.pass_ == "backward" for cost in record.costs):
            return None, None
        backward = self._cost(choice.technique, choice.scope, "backward", choice.variant, values)
        if choice.scope != "block" or self.config.training.recompute == "none":
            return backward, None
        variant: dict[str, Any] = {**backward.variant, "of": choice.technique}
        return backward, self._cost("recomputed-block", "block", "backward", variant, values)

    def _cost(
        self, technique: str, scope: str, pass_: str, variant: Mapping[str, OptionValue], values: Mapping[str, int]
    ) -> Cost:
        return self.book.find(technique, scope=scope, pass_=pass_, dtype=self.config.dtype, variant=variant,
                              values=values)  # fmt: skip


def _symbols(cost: Cost) -> set[str]:
    return {*cost.symbols, *(name for formula in cost.composition.values() for name in formula.symbols)}


def _free(name: str, taken: Sequence[str]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name} {number}"
    return candidate


def check_pass(pass_: str) -> None:
    """UserError for a pass that models do not have."""
    if pass_ not in PASSES:
        raise UserError(f"--pass {pass_}: a model has the passes {', '.join(PASSES[:-1])} and {PASSES[-1]}")


__all__ = ["PASSES", "Builder", "Run", "check_pass", "distinct"]
