"""What transformers itself says of a config.json: its module on the meta device, its parameters and its FLOPs.

Only this file and its users need transformers. A module on the meta device has shapes and no data: DeepSeek-V3 is built
in a tenth of a second, and `FlopCounterMode` counts the matrix products of a forward pass without one being done.
"""

import itertools
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM
from transformers.models.auto.modeling_auto import MODEL_MAPPING

ENCODERS = ("bert", "longformer")
_LAYERS = {
    "gpt2": "transformer.h", "bert": "encoder.layer", "falcon": "transformer.h", "gpt_neox": "gpt_neox.layers",
    "t5": "decoder.block",
}  # fmt: skip


@dataclass(frozen=True)
class Counted:
    """FLOPs of a forward pass of `b` sequences of `n` tokens: of each layer (T5's decoder; its encoder, which reads n
    tokens too, apart), and of all.
    """

    b: int
    n: int
    layers: list[int]
    encoder: list[int]
    total: int


def build(path: Path) -> nn.Module:
    """The module of the config.json at `path` on the meta device, with eager attention; encoders without a pooler, and
    a decoder whose file names a class without a head, such as GPT2Model, without one.
    """
    logging.getLogger("transformers").setLevel(logging.ERROR)
    fields = json.loads(path.read_text())
    kind = fields.pop("model_type")
    for name in ("quantization_config", "auto_map"):
        fields.pop(name, None)
    config: Any = AutoConfig.for_model(kind, **fields)
    config._experts_implementation = "batched_mm"  # the only one without a loop over data that meta lacks
    with torch.device("meta"):
        if kind in ENCODERS:
            config._attn_implementation = "eager"
            return MODEL_MAPPING[type(config)](config, add_pooling_layer=False).eval()
        if (fields.get("architectures") or [""])[0] == MODEL_MAPPING[type(config)].__name__:
            return MODEL_MAPPING[type(config)]._from_config(config, attn_implementation="eager").eval()
        family = AutoModelForSeq2SeqLM if kind == "t5" else AutoModelForCausalLM
        return family.from_config(config, attn_implementation="eager").eval()


def parameters(model: nn.Module) -> int:
    """Its weights, a shared one once."""
    return sum(weight.numel() for weight in model.parameters())


def forward_flops(model: nn.Module, b: int, n: int) -> Counted:
    """The FLOPs of one forward pass, all logits included."""
    kind = model.config.model_type
    if kind == "longformer":
        layers = [_counting(_longformer_layer(layer, b, n))[""] for layer in model.encoder.layer]
        return Counted(b, n, layers, [], sum(layers))
    counts = _counting(partial(_run, model, b, n))
    layers = _numbered(counts, f"{type(model).__name__}.{_LAYERS.get(kind, 'model.layers')}")
    return Counted(b, n, layers, _numbered(counts, f"{type(model).__name__}.encoder.block"), counts[""])


def _counting(run: Callable[[], object]) -> dict[str, int]:
    """FLOPs by the name of the module that did them; of all under the empty name."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False, depth=None) as counter:
        run()
    counts = {name: sum(by.values()) for name, by in counter.get_flop_counts().items()}
    return counts | {"": counter.get_total_flops()}


def _numbered(counts: dict[str, int], name: str) -> list[int]:
    present = itertools.takewhile(lambda place: place in counts, (f"{name}.{i}" for i in itertools.count()))
    return [counts[place] for place in present]


def _run(model: nn.Module, b: int, n: int) -> None:
    tokens = torch.zeros(b, n, dtype=torch.long)
    match model.config.model_type:
        case "t5":
            model(input_ids=tokens, decoder_input_ids=tokens, use_cache=False)
        case "bert":
            model(tokens)
        case _:
            # A mask is given: without one the module would look for packed sequences in data that is not there.
            model(tokens, attention_mask=torch.ones(b, n), use_cache=False)


def _longformer_layer(layer: nn.Module, b: int, n: int) -> Callable[[], object]:
    """One layer alone: the module asks the data first whether a token is global. None is, as without a task."""

    def run() -> object:
        hidden = torch.zeros(b, n, layer.attention.self.embed_dim)
        nowhere = torch.zeros(b, n, dtype=torch.bool)
        return layer(hidden, torch.zeros(b, n), is_index_masked=nowhere, is_index_global_attn=nowhere,
                     is_global_attn=False)  # fmt: skip

    return run


def version() -> str:
    """Of transformers."""
    return str(transformers.__version__)
