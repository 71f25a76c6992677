"""The parts of a model in the order in which data passes through them: a configuration in; runs of layers out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tfcost.analysis.conditions import require
from tfcost.analysis.model.algebra import LAYERS, ONE, ZERO, added, collected, minus, over
from tfcost.analysis.model.names import Names
from tfcost.analysis.model.part import Part, cache_bytes
from tfcost.analysis.model.select import Choice, attention_of, network_of, parallel_of
from tfcost.book import Book
from tfcost.book.record import OptionValue
from tfcost.config.layer import LayerFields
from tfcost.config.model import ModelConfig
from tfcost.config.runs import Run as ConfigRun
from tfcost.config.runs import layers_of
from tfcost.cost import Cost
from tfcost.errors import UserError
from tfcost.formula import Formula

PASSES = ("forward", "train", "prefill", "decode")
Layer = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """`layers`, each a row of parts, `count` times in a row. What stands before and after them is a run of one."""

    count: Formula
    layers: tuple[Layer, ...]

    @property
    def parts(self) -> Layer:
        """The parts of one repetition, in order."""
        return tuple(part for layer in self.layers for part in layer)


class Builder:
    """Looks parts up, each of a kind once, and gives their symbols names in the model."""

    def __init__(self, config: ModelConfig, book: Book, pass_: str) -> None:
        self.config, self.book, self.pass_ = config, book, pass_
        self.base = {"n": config.n, "m": config.m or config.n, "b": config.b, "L": config.L}
        self.base |= {} if config.V is None else {"V": config.V}
        self.names = Names(config.values | self.base)
        self._found: dict[object, Part] = {}

    def chain(self) -> list[Run]:
        """The whole model. UserError for a part that the book does not have or whose formulas do not hold."""
        runs = [*self._before(), *self._layers(), *self._after()]
        return _counted(runs)

    def _before(self) -> Iterator[Run]:
        config = self.config
        if config.V is not None:
            variant: dict[str, OptionValue] = {"part": "embedding", "positions": config.positions == "learned",
                       "segments": config.token_types > 0, "norm": config.embedding_norm}  # fmt: skip
            yield _single(self._end("embedding", "transformer", variant))

    def _layers(self) -> Iterator[Run]:
        runs = layers_of(self.config)
        for run, count in zip(runs, _counts(runs), strict=True):
            yield Run(count, tuple(self._layer(layer) for layer in run.pattern))

    def _layer(self, layer: LayerFields) -> Layer:
        if layer.parallel != "none":
            return (self.part(parallel_of(layer)),)
        return self.part(attention_of(layer, self.book)), self.part(network_of(layer))

    def _after(self) -> Iterator[Run]:
        config = self.config
        if config.norm in ("pre", "sandwich"):
            technique = "decoder-ends" if config.norm_kind == "rms" else "transformer"
            yield _single(self._end("norms", technique, {"part": "norm"}))
        special = {"bias": config.head_bias, "softcap": config.head_softcap}
        technique, variant = ("decoder-ends", special) if any(special.values()) else ("transformer", {})
        if self.pass_ == "train" and config.head == "none":
            yield _single(self._end("loss", "transformer", {"part": "loss"}))
        elif self.pass_ == "train":
            yield _single(self._end("head", technique, {"part": "head and loss", **variant}))
        elif config.head != "none":
            # After a prompt, only its last token's logits are asked for.
            last = {"n": "1"} if self.pass_ == "prefill" else {}
            yield _single(self._end("head", technique, {"part": "head", **variant}, last))

    def _end(
        self, name: str, technique: str, variant: Mapping[str, OptionValue], formulas: Mapping[str, str] | None = None
    ) -> Part:
        values = {"d": self.config.d}
        values |= {} if self.config.max_positions is None else {"P": self.config.max_positions}
        values |= {"S": self.config.token_types} if self.config.token_types else {}
        return self.part(Choice(name, technique, "part", variant, values, formulas or {}))

    def part(self, choice: Choice) -> Part:
        """The part for `choice`; the same one for the same choice."""
        key = (choice.technique, choice.scope, *sorted(choice.variant.items()), *sorted(choice.values.items()))
        if key not in self._found:
            taken = [part.name for part in self._found.values()]
            named = replace(choice, name=_free(choice.name, taken))
            self._found[key] = self._looked_up(named)
        return self._found[key]

    def _looked_up(self, choice: Choice) -> Part:
        values = {**self.base, **choice.values}
        forward = self._cost(choice.technique, choice.scope, "forward", choice.variant, values)
        run, formulas, cached = forward, choice.formulas, ZERO
        step = self._decode_cost(choice, values) if self.pass_ in ("decode", "prefill") else None
        if self.pass_ == "decode":
            run = step or forward
            formulas = {**choice.formulas, **({} if step else {"n": "1"}), **choice.decode_formulas}
        training = self._training(choice, values) if self.pass_ == "train" else (None, None)
        symbols = {name for cost in (run, forward, *training) if cost for name in _symbols(cost)}
        meanings = self.names.meanings(symbols | ({"m"} if step else set()), values, formulas, {})
        weights = self.names.meanings(_symbols(forward), values, {**formulas, **choice.weight_formulas}, {})
        local = {**values, **self.names.evaluated(meanings)}
        require(run.assumptions, local, choice.technique)
        if step:
            kept = meanings if self.pass_ == "decode" else self._kept_of_prompt(choice, values)
            cached = cache_bytes(step).substitute({**meanings, **kept})
        return Part(choice.name, ONE, run, *training, forward, cached, meanings, weights, local)

    def _kept_of_prompt(self, choice: Choice, values: Mapping[str, int]) -> Mapping[str, Formula]:
        kept = Formula(choice.decode_formulas.get("m", "m")).substitute({"m": "n"})
        return self.names.meanings(["m"], values, {"m": kept.text}, {})

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
        variant = {**choice.variant, "of": choice.technique}
        return backward, self._cost("recomputed-block", "block", "backward", variant, values)

    def _cost(
        self, technique: str, scope: str, pass_: str, variant: Mapping[str, OptionValue], values: Mapping[str, int]
    ) -> Cost:
        return self.book.find(technique, scope=scope, pass_=pass_, dtype=self.config.dtype, variant=variant,
                              values=values)  # fmt: skip


def _symbols(cost: Cost) -> set[str]:
    return {*cost.symbols, *(name for formula in cost.composition.values() for name in formula.symbols)}


def _single(part: Part) -> Run:
    return Run(ONE, ((part,),))


def _counts(runs: Sequence[ConfigRun], layers: Formula = LAYERS) -> list[Formula]:
    """How often each run's pattern is repeated: numbers, but for the longest run, which has what is left of L."""
    longest = max(range(len(runs)), key=lambda index: runs[index].count * len(runs[index].pattern))
    others = sum(run.count * len(run.pattern) for index, run in enumerate(runs) if index != longest)
    left = layers if not others else minus(layers, Formula(str(others)))
    width = Formula(str(len(runs[longest].pattern)))
    return [collected(over(left, width)) if index == longest else Formula(str(run.count))
            for index, run in enumerate(runs)]  # fmt: skip


def _free(name: str, taken: Sequence[str]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name} {number}"
    return candidate


def _counted(runs: Sequence[Run]) -> list[Run]:
    """The same runs; every part knows how often it runs in all."""
    found: dict[str, list[Formula]] = {}
    for run in runs:
        for part in run.parts:
            found.setdefault(part.name, []).append(run.count)
    counts = {name: counts[0] if len(counts) == 1 else collected(added(counts)) for name, counts in found.items()}
    return [Run(run.count, tuple(tuple(replace(part, count=counts[part.name]) for part in layer)
                                 for layer in run.layers)) for run in runs]  # fmt: skip


def distinct(runs: Sequence[Run]) -> list[Part]:
    """Every kind of part once, in order of first appearance."""
    return list({part.name: part for run in runs for part in run.parts}.values())


def check_pass(pass_: str) -> None:
    """UserError for a pass that models do not have."""
    if pass_ not in PASSES:
        raise UserError(f"--pass {pass_}: a model has the passes {', '.join(PASSES[:-1])} and {PASSES[-1]}")
