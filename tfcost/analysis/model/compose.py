"""A whole model out of derived parts: each part was traced once, here they are put in a chain, L a symbol.

FLOPs, bytes and parameters add up. Peak memory follows from what each part says of itself: what it leaves for its
backward pass, and how far it rises above what is alive when it begins (`Cost.composition`). In a chain nobody else
holds a part's input or output, so the memory alive when a part begins is a sum over the parts before it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tfcost.analysis.conditions import require
from tfcost.book import Book
from tfcost.book.record import OptionValue
from tfcost.config.model import ModelConfig
from tfcost.cost import Cost, Quantity
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.formula import tree as t

ONE, LAYERS = Formula("1"), Formula("L")
_ZERO, _OTHER_LAYERS = Formula("0"), Formula("L - 1")


@dataclass(frozen=True, slots=True)
class Row:
    """One step of one part: `amounts` (keys of `cost.AMOUNTS`), `parameters` of one execution, done `count` times."""

    part: str
    step: str
    count: Formula
    amounts: Mapping[str, Formula]
    parameters: Formula


@dataclass(frozen=True, slots=True)
class ModelCost:
    """What a model costs in one pass: rows that add up to `quantities`, and at which moment memory is highest.

    `parts` are the links that the rows come from, an optimizer step included.
    """

    name: str
    pass_: str
    dtype: str
    values: Mapping[str, int]
    rows: tuple[Row, ...]
    quantities: Mapping[str, Quantity]
    parameters: Formula
    peak_moment: str
    parts: "tuple[Part, ...]"
    assumptions: tuple[str, ...]
    workspace: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One link of the chain: its name, how often it stands in a row with its neighbours, its costs per pass."""

    name: str
    count: Formula
    forward: Cost
    backward: Cost | None

    def size(self, name: str) -> Formula:
        """A quantity of the forward pass, 0 if the part has none (`parameters` of a part without weights)."""
        quantity = self.forward.quantities.get(name)
        return quantity.exact if quantity else _ZERO

    def inference(self, name: str) -> Formula:
        """`given_bytes` or `local_bytes`."""
        return self.forward.composition[name]

    def training(self, name: str) -> Formula:
        """One of the sizes of the training passes (see `Cost.composition`)."""
        if self.backward is None:
            raise UserError(f"{self.forward.technique} has no backward pass in the book: --pass forward only")
        return self.backward.composition[name]


def compose(config: ModelConfig, book: Book, *, pass_: str = "forward") -> ModelCost:
    """The cost of the model that `config` describes, in symbols and with its values, for "forward" or "train".

    UserError if the book lacks a part or a part's formulas mean nothing at these sizes, or if `pass_` is neither.
    """
    if pass_ not in ("forward", "train"):
        raise UserError(f"--pass {pass_}: a model has the passes forward and train")
    values = {**book.record(config.attention).defaults, **_values(config)}
    chain = _chain(config, book, values, training=pass_ == "train")
    optimizer = _optimizer(config, book, values) if pass_ == "train" else None
    rows = tuple(_rows(chain, optimizer, pass_))
    parameters = _parameters(config, chain)
    moments = _training_moments(config, chain, optimizer) if pass_ == "train" else _inference_moments(config, chain)
    highest, peak = max(moments.items(), key=lambda moment: moment[1].evaluate(values))
    if optimizer:
        rows = tuple(_with_count(row, parameters) for row in rows)
    costs = [cost for part in chain for cost in (part.forward, part.backward) if cost is not None]
    quantities = {
        **{name: Quantity(_total(rows, names), "summed") for name, names in _ADDED.items()},
        "peak_bytes": Quantity(_maximum(moments.values()), "summed", peak, f"sizes like these, highest at {highest}"),
        "parameter_bytes": Quantity(_parameter_bytes(config, chain), "summed"),
        "parameters": Quantity(parameters, "summed"),
    }
    if pass_ == "train":
        quantities["saved_bytes"] = Quantity(_saved(chain), "summed")
    return ModelCost(
        config.name, pass_, config.dtype, values, rows, quantities, parameters, highest,
        (*chain, *([optimizer] if optimizer else [])),
        tuple(dict.fromkeys(text for cost in costs for text in cost.assumptions)),
        tuple(dict.fromkeys(text for cost in costs for text in cost.workspace)),
    )  # fmt: skip


_ADDED = {
    "matmul_flops": ("matmul_flops",),
    "scalar_flops": ("scalar_flops",),
    "issued_bytes": ("read_bytes", "write_bytes"),
}


def _values(config: ModelConfig) -> dict[str, int]:
    values = dict(config.values)
    if config.max_positions is not None:
        values["P"] = config.max_positions
    if config.token_types:
        values["S"] = config.token_types
    return values


def _chain(config: ModelConfig, book: Book, values: Mapping[str, int], training: bool) -> list[Part]:
    """The parts in the order in which data passes through them."""

    def part(name: str, technique: str, scope: str, count: Formula, variant: Mapping[str, OptionValue]) -> Part:
        def find(which: str) -> Cost:
            cost = book.find(technique, scope=scope, pass_=which, dtype=config.dtype, variant=variant, values=values)
            require(cost.assumptions, values, technique)
            return cost

        has_backward = any(c.scope == scope and c.pass_ == "backward" for c in book.record(technique).costs)
        return Part(name, count, find("forward"), find("backward") if training and has_backward else None)

    def own(name: str, kind: str, **variant: OptionValue) -> Part:
        return part(name, "transformer", "part", ONE, {"part": kind, **variant})

    chain = []
    if config.V is not None:
        chain.append(own("embedding", "embedding", positions=config.positions == "learned",
                         segments=config.token_types > 0, norm=config.embedding_norm))  # fmt: skip
    options = {**_attention_options(config, book), "norm": config.norm, "bias": config.bias}
    chain.append(part("attention", config.attention, "block", LAYERS, options))
    options = {"activation": config.ffn, "norm": config.norm, "bias": config.ffn_bias}
    chain.append(part("ffn", "ffn", "block", LAYERS, options))
    if config.norm == "pre":
        chain.append(own("norms", "norm"))
    if training:
        chain.append(own("loss", "loss") if config.head == "none" else own("head", "head and loss"))
    elif config.head != "none":
        chain.append(own("head", "head"))
    return chain


def _attention_options(config: ModelConfig, book: Book) -> dict[str, OptionValue]:
    record = book.record(config.attention)
    options: dict[str, OptionValue] = {name: option.default for name, option in record.options.items()}
    if config.causal and "causal" not in options:
        raise UserError(f"{config.attention} has no causal form")
    options["causal"] = config.causal
    for name, value in config.attention_options.items():
        if name not in record.options or value not in record.options[name].values:
            offered = "; ".join(f"{key}: {', '.join(map(str, o.values))}" for key, o in record.options.items())
            raise UserError(f"attention_options: {config.attention} has no {name} = {value} ({offered})")
        options[name] = value
    return options


def _optimizer(config: ModelConfig, book: Book, values: Mapping[str, int]) -> Part | None:
    kind = config.training.optimizer
    if kind == "none":
        return None
    cost = book.find("transformer", scope="part", pass_="forward", dtype=config.dtype, variant={"part": kind},
                     values=values)  # fmt: skip
    return Part("optimizer", ONE, cost, None)


def _rows(chain: Sequence[Part], optimizer: Part | None, pass_: str) -> Iterator[Row]:
    for part in chain:
        parameters = part.size("parameters")
        for cost in (part.forward, part.backward if pass_ == "train" else None):
            suffix = ", backward" if cost is part.backward else ""
            for step in cost.steps if cost else ():
                name = "norms" if step.name == "norm" else step.name if step.name == "loss" else part.name
                own = parameters if name == part.name else _ZERO
                yield Row(name, step.name + suffix, part.count, step.amounts, own)
                if name == part.name:
                    parameters = _ZERO
    for step in optimizer.forward.steps if optimizer else ():
        yield Row("optimizer", step.name, ONE, step.amounts, _ZERO)


def _with_count(row: Row, parameters: Formula) -> Row:
    """An optimizer step is derived for N parameters; here N is the model's number."""
    if row.part != "optimizer":
        return row
    return replace(row, amounts={name: a.substitute({"N": parameters}) for name, a in row.amounts.items()})


def _parameters(config: ModelConfig, chain: Sequence[Part]) -> Formula:
    """All weights; a tied head uses the embedding's table."""
    return _added(_times(part.count, part.size("parameters")) for part in _owning(config, chain))


def _parameter_bytes(config: ModelConfig, chain: Sequence[Part]) -> Formula:
    return _added(_times(part.count, part.size("parameter_bytes")) for part in _owning(config, chain))


def _owning(config: ModelConfig, chain: Sequence[Part]) -> list[Part]:
    return [part for part in chain if not (part.name == "head" and config.head == "tied")]


def _saved(chain: Sequence[Part]) -> Formula:
    return _added(_times(part.count, part.training("saved_bytes")) for part in chain)


def _given(chain: Sequence[Part]) -> Formula:
    """Bytes of tokens and targets: what parts were given beside their input and their weights."""
    return _added(
        _minus(part.inference("given_bytes"), part.size("parameter_bytes"), _input_bytes(part)) for part in chain
    )


def _input_bytes(part: Part) -> Formula:
    return part.inference("input_bytes")


def _inference_moments(config: ModelConfig, chain: Sequence[Part]) -> dict[str, Formula]:
    """Bytes alive at the highest moment of each part: all weights, tokens, the part's input, and what it makes."""
    held = [_parameter_bytes(config, chain), _given(chain)]
    return {part.name: _added([*held, _input_bytes(part), part.inference("local_bytes")]) for part in chain}


def _training_moments(config: ModelConfig, chain: Sequence[Part], optimizer: Part | None) -> dict[str, Formula]:
    """Bytes alive at the highest moment of each part and pass. What grows or shrinks from layer to layer does so
    evenly, so that the first and the last layer stand for all.
    """
    held = [_parameter_bytes(config, chain), _given(chain), _state(config, chain, optimizer)]
    moments: dict[str, Formula] = {}
    for part in chain:
        for layer in _layers(part):
            start = [*held, _saved_before(chain, part, layer)]
            where = f"{part.name}, {layer} layer" if part.count == LAYERS else part.name
            forward = [*start, part.training("input_bytes"), part.training("forward_local_bytes")]
            backward = [*start, part.training("saved_bytes"), part.training("output_bytes"),
                        part.training("backward_local_bytes"), _gradients_after(chain, part, layer)]  # fmt: skip
            moments[f"{where}, forward"] = _added(forward)
            moments[f"{where}, backward"] = _added(backward)
    if config.head == "tied":
        # Autograd adds the two gradients of the shared table into a third tensor before it keeps the sum.
        first, last = chain[0], chain[-1]
        both = (first.training("gradient_bytes"), last.training("gradient_bytes"))
        moments["tied gradients"] = _added([*held, _gradients_after(chain, first, "only"), *both])
    if optimizer:
        step = optimizer.size("peak_bytes").substitute({"N": _parameters(config, chain)})
        moments["optimizer step"] = _added([step, _given(chain)])
    return moments


def _layers(part: Part) -> tuple[str, ...]:
    return ("first", "last") if part.count == LAYERS else ("only",)


def _saved_before(chain: Sequence[Part], part: Part, layer: str) -> Formula:
    """What all parts before `part` in its first or last layer left for their backward passes."""
    return _along(chain[: chain.index(part)], chain, part, "saved_bytes", other_layers=layer == "last")


def _gradients_after(chain: Sequence[Part], part: Part, layer: str) -> Formula:
    """Weight gradients that exist when `part`'s backward pass begins: those of all parts after it."""
    return _along(chain[chain.index(part) + 1 :], chain, part, "gradient_bytes", other_layers=layer == "first")


def _along(beside: Sequence[Part], chain: Sequence[Part], part: Part, size: str, other_layers: bool) -> Formula:
    """The sum of `size` over the parts `beside`; a part of the same layer counts once, and with `other_layers` the
    L - 1 other layers count as a whole.
    """
    sizes = [
        _times(ONE if part.count == other.count == LAYERS else other.count, other.training(size)) for other in beside
    ]
    if other_layers:
        sizes += [_times(_OTHER_LAYERS, other.training(size)) for other in chain if other.count == LAYERS]
    return _added(sizes)


def _state(config: ModelConfig, chain: Sequence[Part], optimizer: Part | None) -> Formula:
    """What an optimizer keeps between steps: what its step is given beside a weight and a gradient."""
    if optimizer is None:
        return _ZERO
    weights = _parameter_bytes(config, chain)
    given = optimizer.inference("given_bytes").substitute({"N": _parameters(config, chain)})
    return _minus(given, weights, weights)


def _added(formulas: Iterable[Formula]) -> Formula:
    return Formula.of_tree(t.add([formula.tree for formula in formulas]))


def _times(*factors: Formula) -> Formula:
    return Formula.of_tree(t.multiply([factor.tree for factor in factors]))


def _minus(first: Formula, *others: Formula) -> Formula:
    return _added([first, *(_times(Formula("-1"), other) for other in others)])


def _maximum(formulas: Iterable[Formula]) -> Formula:
    return Formula.of_tree(t.call("Max", [formula.tree for formula in formulas]))


def _total(rows: Iterable[Row], names: Sequence[str]) -> Formula:
    return _added(_times(row.count, row.amounts[name]) for row in rows for name in names if name in row.amounts)
