"""Optimizer steps that keep more or less than the plain ones of `transformer`: mixed precision, moments of 8 bits.

Mixed precision keeps a float32 master copy of 16-bit weights beside float32 moments (Micikevicius et al. 2018); 8-bit
AdamW keeps a byte per moment and a scale per block (Dettmers et al. 2022).
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tfcost.derive.subject import Subject
from tfcost.derive.subject import Tensor as Shape
from tfcost.derive.technique import Option, Technique, Variant
from tfcost.steps import step
from tfcost_kernels.optimizer import BLOCK, adamw_8bit, adamw_mixed

_HALF = ("bfloat16", "float16")


def sgd_mixed(weight: Tensor, gradient: Tensor, master: Tensor) -> Tensor:
    """One step of plain gradient descent on the master copy. weight, gradient: [N]; master: [N] float32; returns
    weight.
    """
    with step("optimizer"):
        master.add_(gradient, alpha=-1e-3)
        return weight.copy_(master)


def _stepped(update: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def optimizer_step(**arguments: Any) -> Tensor:
        with step("optimizer"):
            return update(**arguments)

    return optimizer_step


def _variants() -> Iterator[Variant]:
    weights = {"weight": Shape("N"), "gradient": Shape("N")}
    single = partial(Shape, "N", dtype=torch.float32)
    coded = {"first": Shape("N", dtype=torch.int8), "second": Shape("N", dtype=torch.uint8)}
    scales = {name: Shape("q", dtype=torch.float32) for name in ("first_scale", "second_scale")}
    yield _variant("sgd", "mixed", sgd_mixed, {**weights, "master": single()})
    moments = {name: single() for name in ("master", "first", "second")}
    yield _variant("adamw", "mixed", _stepped(adamw_mixed), {**weights, **moments})
    yield _variant("adamw-8bit", "same", _stepped(adamw_8bit), {**weights, **coded, **scales})
    yield _variant("adamw-8bit", "mixed", _stepped(adamw_8bit), {**weights, **coded, **scales, "master": single()})


def _variant(optimizer: str, precision: str, function: Callable[..., Tensor], arguments: dict[str, Shape]) -> Variant:
    blocks = any(one.shape == "q" for one in arguments.values())
    subject = Subject(function, arguments, ("N", *(["q"] if blocks else [])))
    return Variant(
        "part", {"optimizer": optimizer, "precision": precision}, subject,
        (("q", f"ceiling(N/{BLOCK})"),) if blocks else (), part="optimizer", backward=False,
        dtypes=_HALF if precision == "mixed" else (*_HALF, "float32"),
    )  # fmt: skip


TECHNIQUE = Technique(
    name="optimizers",
    title="Optimizers of low precision",
    section="",
    implementation="triton",
    summary="One step of SGD or AdamW with a float32 master copy of 16-bit weights, or with moments of 8 bits.",
    options={
        "optimizer": Option(("sgd", "adamw", "adamw-8bit"), "adamw", "whose step it is"),
        "precision": Option(("same", "mixed"), "mixed", "mixed: a float32 master copy and float32 moments"),
    },
    variants=_variants,
)
