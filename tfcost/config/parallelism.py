"""How a model is split over GPUs: `parallelism` in a configuration file, and which splits do not fit a model."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from tfcost.config.fields import Count, CountOrZero, problem

if TYPE_CHECKING:
    from tfcost.config.model import ModelConfig

_MOST_SHARED = 3


class Parallelism(BaseModel):
    """Numbers of GPUs among which one thing is split. Their product is the number of GPUs, expert's apart: its groups
    are made of GPUs of the data-parallel ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tensor: Count = Field(1, description="GPUs that share out heads, hidden width and vocabulary")
    sequence: StrictBool = Field(False, description="those GPUs share out the rows between the blocks as well")
    context: Count = Field(1, description="GPUs that share out each sequence, attention included")
    pipeline: Count = Field(1, description="stages that share out the layers")
    micro_batches: Count = Field(1, description="parts of a batch that run one after the other")
    expert: Count = Field(1, description="GPUs that share out the experts")
    data: Count = Field(1, description="GPUs with other rows of the batch")
    zero: CountOrZero = Field(0, description="what data-parallel GPUs share out: 1 optimizer state, 2 gradients too, "
                              "3 weights too")  # fmt: skip

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.zero > _MOST_SHARED:
            raise problem("zero", f"zero: there are stages 0 to {_MOST_SHARED}, not {self.zero}")
        if self.zero and self.data * self.context == 1:
            raise problem("zero", f"zero: {self.zero} needs GPUs to share with: give data")
        if self.sequence and self.tensor == 1:
            raise problem("sequence", "sequence: true needs the GPUs of tensor: give tensor")
        if self.data % self.expert:
            raise problem("expert", f"expert: data = {self.data} is not divisible by expert = {self.expert}")
        return self

    @property
    def gpus(self) -> int:
        """All of them."""
        return self.tensor * self.context * self.pipeline * self.data

    @property
    def values(self) -> dict[str, int]:
        """The symbols of formulas and their values."""
        return {"T": self.tensor, "C": self.context, "Q": self.pipeline, "A": self.micro_batches, "X": self.expert,
                "D": self.data}  # fmt: skip


def misfits(parallelism: Parallelism, config: "ModelConfig") -> Iterator[str]:
    """What of the model does not divide among the GPUs, each as a sentence."""
    wanted = [
        ("tensor", "h", config.h, parallelism.tensor),
        ("tensor", "h_kv", config.kv_heads, parallelism.tensor),
        ("pipeline", "L", config.L, parallelism.pipeline),
        ("data * micro_batches", "b", config.b, parallelism.data * parallelism.micro_batches),
        ("context", "n", config.n, parallelism.context),
    ]
    if config.V is not None:
        wanted.append(("tensor", "V", config.V, parallelism.tensor))
    if config.moe is None:
        wanted.append(("tensor", "f", config.hidden_width, parallelism.tensor))
    if parallelism.sequence:
        wanted.append(("context * tensor", "n", config.n, parallelism.context * parallelism.tensor))
    if parallelism.expert > 1:
        if config.moe is None:
            yield "expert: the model has no experts: give moe"
        else:
            wanted.append(("expert", "experts", config.moe.experts, parallelism.expert))
    for field, name, size, count in wanted:
        if size % count:
            yield f"{field}: {name} = {size} is not divisible by {field} = {count}"
