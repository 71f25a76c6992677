"""Models with a bias by distance (T5): a decoder, and an encoder whose output every decoder layer attends to.

The encoder's own symbols are called n_enc and L_enc in the model. Each stack makes its bias once, for all its layers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tfcost.analysis.model.runs import Run, counted, counts, single
from tfcost.analysis.model.select import Choice, network_of
from tfcost.book.record import OptionValue
from tfcost.config.layer import LayerFields
from tfcost.config.runs import Run as ConfigRun
from tfcost.config.runs import encoder_layers_of, layers_of
from tfcost.errors import UserError
from tfcost.formula import Formula

if TYPE_CHECKING:
    from tfcost.analysis.model.chain import Builder

ENCODER, DECODER = "encoder", "decoder"
_RENAMED = {"n": "n_enc"}


def encoder_decoder(builder: "Builder") -> list[Run]:
    """The runs of both stacks, or of one alone. In a decode step the encoder and the making of the bias are idle: its
    keys and values are in a cache, and a token's bias is a table.
    """
    decode = builder.pass_ == "decode"
    encoder, decoder = list(_encoder(builder)), list(_decoder(builder))
    if decode:
        builder.idle = counted([*encoder, decoder[0]])
        return counted(decoder[1:])
    return counted([*encoder, *decoder])


def _encoder(builder: "Builder") -> Iterator[Run]:
    config = builder.config
    if config.encoder is None:
        return
    own = builder.beside("train" if builder.pass_ == "train" else "forward", n=config.encoder.n)
    runs = encoder_layers_of(config)
    yield from _stack(own, runs, ENCODER, Formula("L_enc"))
    yield _single(own, own.last_norm(), ENCODER)


def _decoder(builder: "Builder") -> Iterator[Run]:
    stage = DECODER if builder.config.encoder is not None else ""
    yield from _stack(builder, layers_of(builder.config), stage, Formula("L"))
    for run in builder.after():
        yield replace(run, stage=stage)


def _stack(builder: "Builder", runs: Sequence[ConfigRun], stage: str, depth: Formula) -> Iterator[Run]:
    """Bias, embedding and layers of one stack."""
    first = runs[0].pattern[0]
    idle = builder.beside("forward") if builder.pass_ == "decode" else builder
    yield _single(idle, _bias(first, builder.config.buckets), stage)
    yield _single(builder, builder.embedding(), stage)
    for run, count in zip(runs, counts(runs, depth), strict=True):
        layers = tuple(tuple(builder.part(_placed(choice, stage)) for choice in _choices(layer, stage, builder))
                       for layer in run.pattern)  # fmt: skip
        yield Run(count, layers, stage)


def _choices(layer: LayerFields, stage: str, builder: "Builder") -> Iterator[Choice]:
    """The parts of one layer."""
    _check(layer)
    values = {"d": layer.d, "h": layer.h, "d_h": layer.head_width}
    variant: dict[str, OptionValue] = {"part": "self-attention", "causal": layer.causal}
    decode = ("encoder-decoder", variant) if layer.causal else None
    yield Choice("attention", "encoder-decoder", "block", variant, values, decode=decode, attends=True, shares="bias")
    encoder = builder.config.encoder
    if stage == DECODER and encoder is not None:
        cross: dict[str, OptionValue] = {"part": "cross-attention"}
        yield Choice("cross attention", "encoder-decoder", "block", cross, {**values, "m": encoder.n},
                     decode=("encoder-decoder", cross), attends=True, shares="memory",
                     renamed={"m": "n_enc"})  # fmt: skip
    yield network_of(layer)


def _bias(layer: LayerFields, buckets: int) -> Choice:
    variant: dict[str, OptionValue] = {"part": "position bias", "causal": layer.causal}
    return Choice("position bias", "encoder-decoder", "part", variant, {"h": layer.h, "R": buckets})


def _single(builder: "Builder", choice: Choice, stage: str) -> Run:
    return single(builder.part(_placed(choice, stage)), stage)


def _placed(choice: Choice, stage: str) -> Choice:
    """A part of the encoder says so in its name, and its n is the encoder's."""
    if stage != ENCODER:
        return choice
    renamed: Mapping[str, str] = {**choice.renamed, **_RENAMED}
    return replace(choice, name=f"encoder {choice.name}", renamed=renamed)


def _check(layer: LayerFields) -> None:
    plain = (layer.attention, layer.norm_kind, layer.norm, layer.bias) == ("standard", "rms", "pre", False)
    if not plain or layer.rope or layer.mla or layer.qk_norm != "none" or layer.kv_heads != layer.h:
        raise UserError("positions: relative is there for 'attention: standard', 'norm_kind: rms', 'norm: pre', "
                        "h_kv = h, without biases and rotary positions")  # fmt: skip
