"""Models composed of derived parts against the same models run as a whole: parameters, matmul FLOPs (torch's counter)
and peak memory (the CPU allocator), for inference and a training step, at several depths."""

from functools import partial
from typing import Any

import pytest
import torch
from oracles.allocator import AllocatorRun
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tfcost.analysis.model import ModelCost, compose
from tfcost.book import Book, Provenance, TechniqueRecord, write_record
from tfcost.config.load import make_config
from tfcost.config.model import ModelConfig
from tfcost.derive.costs import derive_variant
from tfcost.derive.harness import Source
from tfcost.derive.technique import Technique
from tfcost.techniques import ffn, linear, standard, transformer
from tfcost.techniques.layers import attention_layer, layer_norm, residual

TOLERANCE = 64
GPT = {"name": "gpt", "n": 48, "b": 2, "d": 32, "h": 4, "L": 3, "V": 100, "positions": "learned", "max_positions": 64,
       "causal": True, "bias": True, "norm": "pre", "ffn": "gelu", "ffn_bias": True, "head": "tied"}  # fmt: skip
BERT = {"name": "bert", "n": 33, "b": 2, "d": 24, "h": 2, "L": 2, "V": 50, "positions": "learned", "max_positions": 40,
        "token_types": 2, "embedding_norm": True, "bias": True, "norm": "post", "ffn": "gelu",
        "ffn_bias": True}  # fmt: skip
LAYERS = {"name": "layers", "n": 100, "b": 2, "d": 16, "h": 2, "L": 4, "ffn": "relu", "ffn_bias": True}
GROUPED = {"name": "grouped", "n": 40, "b": 3, "d": 32, "h": 4, "h_kv": 2, "L": 2, "V": 70, "norm": "pre",
           "ffn": "swiglu", "head": "untied"}  # fmt: skip
LINEAR = {**GPT, "name": "linear", "attention": "linear", "causal": False}
WIDE = {**GPT, "name": "wide vocabulary", "V": 5000, "L": 1}
MODELS = [GPT, BERT, LAYERS, GROUPED, LINEAR, WIDE, {**GPT, "name": "deep", "L": 7, "n": 9}]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """The parts these models need, derived for the CPU (no workspace), as a book of their own."""
    folder = tmp_path_factory.mktemp("book")
    for module in (standard, linear, ffn, transformer):
        technique = module.TECHNIQUE
        costs = [cost for v in technique.variants() if _needed(technique, v.scope, v.options)
                 for cost in derive_variant(technique, v, "cpu")]  # fmt: skip
        write_record(_record(technique, costs), folder)
    return Book(folder)


def _needed(technique: Technique, scope: str, options: Any) -> bool:
    return scope == "part" or (scope == "block" and not (technique.name == "linear" and options["causal"]))


def _record(technique: Technique, costs: list[Any]) -> TechniqueRecord:
    return TechniqueRecord(technique.name, technique.title, technique.section, technique.implementation,
                           technique.summary, technique.options, technique.defaults, technique.claims, Provenance(),
                           tuple(costs))  # fmt: skip


class Model:
    """The model that a configuration describes, with random weights: the parts' own functions, one after the other."""

    def __init__(self, config: ModelConfig, training: bool) -> None:
        self.config = config
        self.parameters: list[Tensor] = []
        self._training = training
        d, f, h, h_kv, d_h = config.d, config.hidden_width, config.h, config.kv_heads, config.head_width
        self.table = self._weight(config.V, d) if config.V else None
        self.positions = self._weight(config.max_positions, d) if config.max_positions else None
        self.segments = self._weight(config.token_types, d) if config.token_types else None
        self.embedding_norm = self._norm() if config.embedding_norm else (None, None)
        self.layers = []
        for _ in range(config.L):
            shapes = {"w_q": (h * d_h, d), "w_k": (h_kv * d_h, d), "w_v": (h_kv * d_h, d), "w_o": (d, h * d_h)}
            biases = {"b_q": (h * d_h,), "b_k": (h_kv * d_h,), "b_v": (h_kv * d_h,), "b_o": (d,)}
            attention = {n: self._weight(*s) for n, s in {**shapes, **(biases if config.bias else {})}.items()}
            first_norm = self._norm() if config.norm != "none" else (None, None)
            shapes = {"w_1": (f, d), "w_2": (d, f), **({"w_gate": (f, d)} if config.ffn == "swiglu" else {})}
            biases = {"b_1": (f,), "b_2": (d,), **({"b_gate": (f,)} if config.ffn == "swiglu" else {})}
            network = {n: self._weight(*s) for n, s in {**shapes, **(biases if config.ffn_bias else {})}.items()}
            second_norm = self._norm() if config.norm != "none" else (None, None)
            self.layers.append((attention, first_norm, network, second_norm))
        self.last_norm = self._norm() if config.norm == "pre" else None
        self.head = self._weight(config.V, d) if config.head == "untied" else self.table

    def _weight(self, *shape: int) -> Tensor:
        weight = torch.randn(shape).requires_grad_(self._training)
        self.parameters.append(weight)
        return weight

    def _norm(self) -> tuple[Tensor, Tensor]:
        return self._weight(self.config.d), self._weight(self.config.d)

    def __call__(self, tokens: Tensor | None, targets: Tensor | None, anchor: Tensor) -> Tensor:
        config = self.config
        if tokens is not None:
            x = transformer.embed(tokens, self.table, self.positions, self.segments, *self.embedding_norm)
        else:
            x = Source.apply(anchor, lambda: torch.randn(config.b, config.n, config.d))
        core = {
            "standard": partial(standard.attention, causal=config.causal), "linear": linear.attention,
        }[config.attention]  # fmt: skip
        for attention, first_norm, network, second_norm in self.layers:
            run = partial(attention_layer, h=config.h, h_kv=config.kv_heads, d_h=config.head_width, core=core,
                          strided=False, **attention)  # fmt: skip
            x = residual(x, run, config.norm, *first_norm)
            x = residual(x, partial(ffn.feed_forward, activation=config.ffn, **network), config.norm, *second_norm)
        if self.last_norm is not None:
            x = layer_norm(x, *self.last_norm)
        if not self._training:
            return x if self.head is None or config.head == "none" else transformer.logits(x, self.head)
        if config.head == "none":
            return transformer.plain_loss(x)
        return transformer.head_loss(x, self.head, targets)


def _tokens(config: ModelConfig, training: bool) -> tuple[Tensor | None, Tensor | None]:
    make = partial(torch.randint, 0, config.V or 1, (config.b, config.n))
    return (make() if config.V else None), (make() if training and config.head != "none" else None)


def _run(config: ModelConfig, training: bool) -> tuple[int, int, int]:
    """(parameters, matmul FLOPs, peak bytes) of a forward pass or a training step."""
    with AllocatorRun() as run:
        model, inputs, anchor = Model(config, training), _tokens(config, training), torch.empty(0, requires_grad=True)
        run.mark()
        with torch.set_grad_enabled(training):
            result = model(*inputs, anchor)
        if training:
            result.backward()
    peak = run.phases()[-1][1]
    model, inputs = Model(config, training), _tokens(config, training)
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(training):
        result = model(*inputs, torch.empty(0, requires_grad=True))
        if training:
            result.backward()
    return sum(parameter.numel() for parameter in model.parameters), counter.get_total_flops(), peak


@pytest.mark.parametrize("training", [False, True], ids=["forward", "train"])
@pytest.mark.parametrize("fields", MODELS, ids=lambda fields: fields["name"])
def test_composed_equals_whole(fields: dict[str, Any], training: bool, book: Book) -> None:
    config = make_config({**fields, "dtype": "float32"}, book.names)
    cost = compose(config, book, pass_="train" if training else "forward")
    parameters, flops, peak = _run(config, training)
    assert cost.parameters.evaluate(cost.values) == parameters
    assert _value(cost, "matmul_flops") == flops
    assert abs(_value(cost, "peak_bytes") - peak) <= TOLERANCE, cost.peak_moment


def _value(cost: ModelCost, name: str) -> int:
    return int(cost.quantities[name].exact.evaluate(cost.values))
