"""`ModelConfig`: the fields of a model configuration, their defaults, and the rules that tie them together."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationInfo, model_validator

from tfcost.config.fields import Count, CountOrZero, Name, problem
from tfcost.config.layer import LayerChange, LayerFields
from tfcost.config.parallelism import Parallelism, misfits
from tfcost.config.runs import encoder_layers_of, layers_of


class Training(BaseModel):
    """What training adds to forward and backward."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    optimizer: Literal["none", "sgd", "adamw", "adamw-8bit"] = Field(
        "none", description="whose state is kept: adamw has two moments"
    )
    precision: Literal["same", "mixed"] = Field(
        "same", description="mixed: weights in the model's dtype with a float32 master copy and float32 moments"
    )
    accumulate: Count = Field(1, description="batches whose gradients are added up before the optimizer's step")
    recompute: Literal["none", "full", "every", "selective"] = Field(
        "none", description="what backward computes again: nothing, each layer, every s layers, the attention alone"
    )
    every: Count | None = Field(None, description="layers per checkpoint, for 'recompute: every'")

    @model_validator(mode="after")
    def _spacing(self) -> Self:
        if (self.recompute == "every") != (self.every is not None):
            raise problem("recompute", "'recompute: every' and 'every: LAYERS' belong together")
        return self


class LayerRun(BaseModel):
    """Layers in a row: a pattern, repeated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: Count = Field(description="how often the pattern stands in a row")
    pattern: list[LayerChange] = Field(
        min_length=1, max_length=64, description="its layers; each says only in what it differs from the model's fields"
    )


class Encoder(LayerChange):
    """The encoder of an encoder-decoder model. Fields that are not given are those of the decoder, `causal: false`."""

    n: Count = Field(description="tokens that the encoder reads")
    L: Count = Field(description="layers of the encoder")
    layers: list[LayerRun] | None = Field(None, description="runs of layers, if they are not all alike")

    @model_validator(mode="after")
    def _layers(self) -> Self:
        check_depth(self.layers, self.L)
        return self


class ModelConfig(LayerFields):
    """A transformer: sizes, what its layers are made of, and what stands before and after them."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="tfcost model configuration")

    name: Name = Field(description="how reports call the model")
    n: Count = Field(description="sequence length; 16k is 16*1024")
    b: Count = Field(1, description="batch")
    L: Count = Field(description="layers")
    m: Count | None = Field(None, description="decode: cached tokens, the new one included; n unless said")
    V: Count | None = Field(None, description="vocabulary; without it there is no embedding and no head")
    positions: Literal["none", "learned", "relative"] = Field(
        "none", description="position embedding; relative: a bias on the scores by buckets of distances (T5)"
    )
    max_positions: Count | None = Field(None, description="rows of the position embedding")
    buckets: Count = Field(32, description="buckets of relative positions (T5)")
    token_types: CountOrZero = Field(0, description="rows of the token type embedding (BERT: 2); 0: none")
    embedding_norm: StrictBool = Field(False, description="layer norm after the embedding (BERT)")
    layers: list[LayerRun] | None = Field(None, description="runs of layers, if they are not all alike")
    encoder: Encoder | None = Field(None, description="an encoder, whose output every layer attends to as well (T5)")
    head: Literal["none", "tied", "untied"] = Field("none", description="language model head: logits over V")
    head_bias: StrictBool = Field(False, description="a bias on the logits")
    head_softcap: StrictBool = Field(False, description="logits capped by a tanh (Gemma 2)")
    dtype: Literal["bfloat16", "float16", "float32"] = Field("bfloat16", description="of weights and activations")
    parallelism: Parallelism | None = Field(None, description="how a training step is split over GPUs")
    training: Training = Field(default_factory=lambda: Training.model_validate({}), description="for --pass train")

    @model_validator(mode="after")
    def _vocabulary(self) -> Self:
        if self.V is None:
            for name in ("token_types", "embedding_norm", "head"):
                if getattr(self, name) not in ("none", 0):
                    raise problem(name, f"{name} needs a vocabulary: give V")
            if self.positions == "learned":
                raise problem("positions", "positions needs a vocabulary: give V")
        if self.head == "none":
            for name in ("head_bias", "head_softcap"):
                if getattr(self, name):
                    raise problem(name, f"{name} without a head")
        return self

    @model_validator(mode="after")
    def _positions(self) -> Self:
        if self.positions != "learned":
            if self.max_positions is not None:
                raise problem("max_positions", "max_positions without 'positions: learned'")
        elif self.max_positions is None:
            raise problem("positions", "learned positions need max_positions")
        elif self.n > self.max_positions:
            raise problem("n", f"n = {self.n} is more than max_positions = {self.max_positions}")
        return self

    @model_validator(mode="after")
    def _layers(self, info: ValidationInfo) -> Self:
        check_depth(self.layers, self.L)
        layers_of(self, info.context)
        encoder_layers_of(self, info.context)
        return self

    @model_validator(mode="after")
    def _split(self) -> Self:
        for text in misfits(self.parallelism, self) if self.parallelism else ():
            raise problem("parallelism", f"parallelism.{text}")
        return self

    @property
    def values(self) -> dict[str, int]:
        """The value of every symbol the model's own fields set, defaults resolved; V, w, g and c only where given."""
        values = {"n": self.n, "m": self.n, "b": self.b, "d": self.d, "h": self.h, "h_kv": self.kv_heads}
        values |= {"d_h": self.head_width, "L": self.L, "f": self.hidden_width}
        return values | {name: getattr(self, name) for name in ("V", "w", "g", "c") if getattr(self, name) is not None}


def check_depth(runs: list[LayerRun] | None, layers: int) -> None:
    """Raises the complaint about `runs` that do not add up to `layers`."""
    if runs is None:
        return
    total = sum(run.count * len(run.pattern) for run in runs)
    if total != layers:
        raise problem("layers", f"the runs have {total} layers, not L = {layers}")
