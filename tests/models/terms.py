"""Where tfcost and transformers count differently, each with its reason and its exact size.

Parameters: what the module has and the model of tfcost has not. FLOPs: what eager attention does that a technique does
not.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tfcost.config.model import ModelConfig


def tied_in_spite_of_the_file(config: ModelConfig) -> int:
    """transformers 5 ties T5's head until it sees weights, though T5 1.1 says `tie_word_embeddings: false`."""
    assert config.V is not None
    return -config.V * config.d


PARAMETERS: Mapping[str, Callable[[ModelConfig], int]] = {
    "t5-v1.1-base": tied_in_spite_of_the_file,
}
"""By file; parameters of transformers less those of tfcost. The others have none."""


def with_windows_as_masks(config: ModelConfig) -> ModelConfig:
    """The model as eager attention computes it: a window is a mask on all n*n scores, which are all computed."""
    fields: dict[str, Any] = config.model_dump(exclude_unset=True)
    _use_a_mask(fields)
    for run in fields.get("layers") or ():
        for layer in run["pattern"]:
            _use_a_mask(layer)
    return ModelConfig.model_validate(fields)


def _use_a_mask(layer: dict[str, Any]) -> None:
    if layer.get("attention") == "sliding-window":
        layer["attention"] = "standard"


WITHOUT_CHUNKS = ("projections", "output projection", "first layer", "second layer")
"""The steps of a Longformer layer that do not depend on how its window is computed."""


def longformer_core(config: ModelConfig) -> int:
    """transformers' Longformer works on chunks: (n/w - 1) of 2w queries by 2w keys for the scores, then n/w of w rows
    of probabilities by 3w values; each multiply and add counts two.
    """
    assert config.w is not None
    w, chunks = config.w, config.n // config.w
    scores = (chunks - 1) * (2 * w) * (2 * w)
    values = chunks * w * (3 * w)
    return 2 * config.b * config.h * config.head_width * (scores + values)
