"""Every block that models are made of, computed again in the backward pass: its input alone is kept.

torch's own non-reentrant checkpoint runs around the block's function; it stops as soon as it has what the gradient
needs (Chen et al. 2016, arXiv 1604.06174). `of` names the technique whose block it is; other options are the block's.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tfcost.derive.subject import Subject
from tfcost.derive.technique import Option, Technique, Variant
from tfcost.techniques import (
    decoder_attention,
    decoder_ffn,
    ffn,
    flash,
    latent_attention,
    linear,
    longformer_block,
    parallel_block,
    sliding_window,
    standard,
)

_OF = (standard, flash, sliding_window, linear, ffn, decoder_attention, decoder_ffn, latent_attention, parallel_block,
       longformer_block)  # fmt: skip


def recomputed(function: Any, x: Tensor, **rest: Any) -> Tensor:
    """`function(x, **rest)`, computed again in the backward pass. Nothing here is random: no state to go back to."""
    result: Tensor = checkpoint(partial(function, **rest), x, use_reentrant=False, preserve_rng_state=False)
    return result


def _variants() -> Iterator[Variant]:
    for module in _OF:
        technique = module.TECHNIQUE
        for variant in technique.variants():
            if variant.scope == "block" and variant.backward:
                yield _recomputed(variant, technique.name)


def _recomputed(variant: Variant, name: str) -> Variant:
    given = variant.subject
    subject = Subject(partial(recomputed, given.function), given.arguments, given.sizes, given.fixed, given.hints)
    return replace(variant, options={"of": name, **variant.options}, subject=subject, training=True, tiled=None)


TECHNIQUE = Technique(
    name="recomputed-block",
    title="Blocks that are computed again",
    section="3.2",
    implementation="torch",
    summary="A block whose forward pass keeps its input alone; the backward pass computes the rest again.",
    options={"of": Option(tuple(module.TECHNIQUE.name for module in _OF), "standard", "the technique of the block")},
    variants=_variants,
)
