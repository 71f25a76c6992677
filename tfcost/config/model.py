"""`ModelConfig`: the fields of a model configuration, their defaults, and the rules that tie them together."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tfcost.errors import UserError, nearest
from tfcost.numbers import NUMBER_PATTERN, parse_count


def _count(value: Any, info: ValidationInfo) -> Any:
    """A whole number as YAML or the command line writes it (`16k`), an int as it is."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise PydanticCustomError("count", "expected a whole number, found {found}", {"found": shown(value)})
    try:
        return parse_count(str(value), info.field_name or "")
    except UserError as error:
        raise PydanticCustomError("count", "{message}", {"message": str(error)}) from error


def _count_or_zero(value: Any, info: ValidationInfo) -> Any:
    return 0 if value in ("0", 0) and not isinstance(value, bool) else _count(value, info)


def _schema(least: int) -> WithJsonSchema:
    number = {"type": "integer", "minimum": least}
    return WithJsonSchema({"anyOf": [number, {"type": "string", "pattern": NUMBER_PATTERN}]})


Count = Annotated[int, BeforeValidator(_count), _schema(1)]
CountOrZero = Annotated[int, BeforeValidator(_count_or_zero), _schema(0)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


def shown(value: Any) -> str:
    """How an error shows a value of a file."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return "nothing" if value is None else f"'{value}'"


class Training(BaseModel):
    """What training adds to forward and backward."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    optimizer: Literal["none", "sgd", "adamw"] = Field("none", description="whose state is kept: adamw has two moments")


class ModelConfig(BaseModel):
    """A transformer: sizes, what its layers are made of, and what stands before and after them."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="tfcost model configuration")

    name: Name = Field(description="how reports call the model")
    n: Count = Field(description="sequence length; 16k is 16*1024")
    b: Count = Field(1, description="batch")
    d: Count = Field(description="model width")
    h: Count = Field(description="attention heads")
    h_kv: Count | None = Field(None, description="key/value heads; h unless said")
    d_h: Count | None = Field(None, description="head width; d/h unless said")
    L: Count = Field(description="layers")
    f: Count | None = Field(None, description="hidden width of the feed-forward network; 4*d unless said")
    c: Count | None = Field(None, description="chunk length, for attention that works in chunks")
    V: Count | None = Field(None, description="vocabulary; without it there is no embedding and no head")
    positions: Literal["none", "learned"] = Field("none", description="position embedding")
    max_positions: Count | None = Field(None, description="rows of the position embedding")
    token_types: CountOrZero = Field(0, description="rows of the token type embedding (BERT: 2); 0: none")
    embedding_norm: StrictBool = Field(False, description="layer norm after the embedding (BERT)")
    attention: Name = Field("standard", description="an attention technique; 'tfcost techniques' lists them")
    attention_options: dict[Name, StrictBool | str] = Field(
        default_factory=dict, description="options of the attention technique, such as feature_map"
    )
    causal: StrictBool = Field(False, description="a token sees only itself and those before it")
    bias: StrictBool = Field(False, description="biases in the attention projections")
    norm: Literal["none", "pre", "post"] = Field("none", description="layer norm: pre has a final one, post has none")
    ffn: Literal["relu", "gelu", "swiglu"] = Field("relu", description="feed-forward network")
    ffn_bias: StrictBool = Field(False, description="biases in the feed-forward network")
    head: Literal["none", "tied", "untied"] = Field("none", description="language model head: logits over V")
    dtype: Literal["bfloat16", "float16", "float32"] = Field("bfloat16", description="of weights and activations")
    training: Training = Field(default_factory=lambda: Training.model_validate({}), description="for --pass train")

    @model_validator(mode="after")
    def _widths(self) -> Self:
        heads, kv_heads = self.h, self.kv_heads
        if self.d_h is None and self.d % heads:
            raise _problem("h", f"d = {self.d} is not divisible by h = {heads}")
        if heads % kv_heads:
            raise _problem("h_kv", f"h = {heads} is not divisible by h_kv = {kv_heads}")
        return self

    @model_validator(mode="after")
    def _vocabulary(self) -> Self:
        if self.V is None:
            for name in ("positions", "token_types", "embedding_norm", "head"):
                if getattr(self, name) not in ("none", 0):
                    raise _problem(name, f"{name} needs a vocabulary: give V")
        return self

    @model_validator(mode="after")
    def _positions(self) -> Self:
        if self.positions == "none":
            if self.max_positions is not None:
                raise _problem("max_positions", "max_positions without 'positions: learned'")
        elif self.max_positions is None:
            raise _problem("positions", "learned positions need max_positions")
        elif self.n > self.max_positions:
            raise _problem("n", f"n = {self.n} is more than max_positions = {self.max_positions}")
        return self

    @model_validator(mode="after")
    def _attention(self, info: ValidationInfo) -> Self:
        known = (info.context or {}).get("techniques")
        if known and self.attention not in known:
            raise _problem("attention", f"unknown technique '{self.attention}'{nearest(self.attention, known)}")
        return self

    @property
    def kv_heads(self) -> int:
        """h_kv, or h where it is not said."""
        return self.h if self.h_kv is None else self.h_kv

    @property
    def head_width(self) -> int:
        """d_h, or d/h where it is not said."""
        return self.d // self.h if self.d_h is None else self.d_h

    @property
    def hidden_width(self) -> int:
        """f, or 4*d where it is not said."""
        return 4 * self.d if self.f is None else self.f

    @property
    def values(self) -> dict[str, int]:
        """The value of every symbol the configuration sets, defaults resolved; V and c only where they are given."""
        values = {"n": self.n, "m": self.n, "b": self.b, "d": self.d, "h": self.h, "h_kv": self.kv_heads}
        values |= {"d_h": self.head_width, "L": self.L, "f": self.hidden_width}
        return values | {name: size for name, size in (("V", self.V), ("c", self.c)) if size is not None}


def _problem(field: str, message: str) -> PydanticCustomError:
    """A complaint about how fields fit together, told at the line of `field`."""
    return PydanticCustomError("together", "{message}", {"message": message, "field": field})
