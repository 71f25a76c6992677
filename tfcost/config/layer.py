"""`LayerFields`: what one layer is made of, and `LayerChange`: in what a layer differs from the others."""

from typing import Annotated, Any, Literal, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationInfo, create_model, model_validator

from tfcost.config.fields import Biases, Count, CountOrZero, Name, problem
from tfcost.errors import nearest


class Latent(BaseModel):
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): keys and values kept as one short row per token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    q_rank: Count | None = Field(None, description="width of the queries' latent; null: queries straight from d")
    kv_rank: Count = Field(description="width of the latent that keys and values are made of")
    rope_width: Count = Field(description="columns of a head that are turned by position; the key's are shared")
    nope_width: Count = Field(description="columns of a query's and key's head that are not turned")
    v_width: Count = Field(description="columns of a value's head")


class Experts(BaseModel):
    """Mixture of experts in place of the feed-forward network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    experts: Count = Field(description="experts that are routed to")
    chosen: Count = Field(description="experts that each token goes to")
    f: Count = Field(description="hidden width of an expert")
    shared: CountOrZero = Field(0, description="experts that every token goes to")
    shared_f: Count | None = Field(None, description="hidden width of a shared expert; f unless said")
    gate: StrictBool = Field(False, description="a sigmoid gate on the shared expert (Qwen2-MoE)")
    bias: StrictBool = Field(False, description="biases in the router and the experts (gpt-oss)")
    capacity: Count | None = Field(None, description="tokens an expert takes; null: its even share, none dropped")

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.chosen > self.experts:
            raise problem("chosen", f"chosen = {self.chosen} is more than experts = {self.experts}")
        for name in ("shared_f", "gate"):
            if getattr(self, name) and not self.shared:
                raise problem(name, f"{name} without shared experts: give shared")
        return self

    @property
    def shared_width(self) -> int:
        """Hidden width of all shared experts together, which are computed as one."""
        return self.shared * (self.shared_f or self.f)


class LayerFields(BaseModel):
    """What a layer is made of. `d` is the whole model's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    d: Count = Field(description="model width")
    h: Count = Field(description="attention heads")
    h_kv: Count | None = Field(None, description="key/value heads; h unless said")
    d_h: Count | None = Field(None, description="head width; d/h unless said")
    f: Count | None = Field(None, description="hidden width of the feed-forward network; 4*d unless said")
    w: CountOrZero | None = Field(None, description="window: earlier keys a query sees, itself not counted")
    g: CountOrZero | None = Field(None, description="global tokens, for attention that has them")
    c: Count | None = Field(None, description="chunk length, for attention that works in chunks")
    attention: Name = Field("standard", description="an attention technique; 'tfcost techniques' lists them")
    attention_options: dict[Name, StrictBool | str] = Field(
        default_factory=dict, description="options of the attention technique, such as feature_map"
    )
    causal: StrictBool = Field(False, description="a token sees only itself and those before it")
    bias: Biases = Field(False, description="biases in the attention projections: none, all four, or those of q, k, v")
    rope: StrictBool = Field(False, description="rotary position embedding of queries and keys")
    rope_width: Count | None = Field(None, description="columns of a head that are turned; d_h unless said")
    qk_norm: Literal["none", "head"] = Field("none", description="RMS norm of every head's query and key")
    softcap: StrictBool = Field(False, description="scores capped by a tanh (Gemma 2)")
    sinks: StrictBool = Field(False, description="a learned logit per head that takes part in the softmax (gpt-oss)")
    mla: Latent | None = Field(None, description="multi-head latent attention")
    norm_kind: Literal["layer", "rms"] = Field("layer", description="layer norm, or RMS norm without a shift")
    norm: Literal["none", "pre", "post", "sandwich"] = Field(
        "none", description="norms: pre has a final one, post has none; sandwich: before and after, and a final one"
    )
    parallel: Literal["none", "one norm", "two norms"] = Field(
        "none", description="attention and feed-forward network side by side, behind one norm or each behind its own"
    )
    ffn: Literal["relu", "gelu", "swiglu", "geglu"] = Field("relu", description="feed-forward network")
    ffn_bias: StrictBool = Field(False, description="biases in the feed-forward network")
    moe: Experts | None = Field(None, description="mixture of experts in place of the feed-forward network")

    @model_validator(mode="after")
    def _widths(self) -> Self:
        if self.mla is None and self.d_h is None and self.d % self.h:
            raise problem("h", f"d = {self.d} is not divisible by h = {self.h}")
        if self.h % self.kv_heads:
            raise problem("h_kv", f"h = {self.h} is not divisible by h_kv = {self.kv_heads}")
        return self

    @model_validator(mode="after")
    def _positions_in_heads(self) -> Self:
        if self.mla is not None:
            for name in ("rope", "rope_width", "qk_norm", "softcap", "sinks"):
                if getattr(self, name) not in (False, None, "none"):
                    raise problem(name, f"{name} is not a choice with mla")
        if self.rope_width is None:
            return self
        if not self.rope:
            raise problem("rope_width", "rope_width without 'rope: true'")
        if self.rope_width % 2 or self.rope_width > self.head_width:
            raise problem("rope_width", f"rope_width = {self.rope_width} must be even, d_h = {self.head_width} at most")
        return self

    @model_validator(mode="after")
    def _side_by_side(self) -> Self:
        if self.parallel != "none" and self.norm != "pre":
            raise problem("parallel", "parallel needs 'norm: pre'")
        if self.parallel != "none" and self.moe is not None:
            raise problem("parallel", "parallel and moe are not a choice together")
        return self

    @model_validator(mode="after")
    def _attention(self, info: ValidationInfo) -> Self:
        known = (info.context or {}).get("techniques")
        if known and self.attention not in known:
            raise problem("attention", f"unknown technique '{self.attention}'{nearest(self.attention, known)}")
        return self

    @property
    def kv_heads(self) -> int:
        """h_kv, or h where it is not said."""
        return self.h if self.h_kv is None else self.h_kv

    @property
    def head_width(self) -> int:
        """d_h, or d/h where it is not said; with latent attention, the columns of a query's head."""
        if self.mla is not None:
            return self.mla.nope_width + self.mla.rope_width
        return self.d // self.h if self.d_h is None else self.d_h

    @property
    def turned_width(self) -> int:
        """Columns of a head that are turned by position; 0 without rotary embedding."""
        if self.mla is not None:
            return self.mla.rope_width
        return (self.rope_width or self.head_width) if self.rope else 0

    @property
    def hidden_width(self) -> int:
        """f, or 4*d where it is not said."""
        return 4 * self.d if self.f is None else self.f


def _changes() -> dict[str, Any]:
    """Every field but the model's width, none of them required."""
    hints = get_type_hints(LayerFields, include_extras=True)
    return {
        name: (Annotated[hints[name], Field(description=field.description)], None)
        for name, field in LayerFields.model_fields.items()
        if name != "d"
    }


_Partial = create_model("_Partial", __config__=ConfigDict(extra="forbid", frozen=True), **_changes())


class LayerChange(_Partial):  # type: ignore[valid-type, misc]
    """The fields in which a layer differs from the model's own."""

    @property
    def given(self) -> dict[str, Any]:
        """The fields of a layer that were given, `null` included."""
        return {name: getattr(self, name) for name in self.model_fields_set if name in LayerFields.model_fields}
