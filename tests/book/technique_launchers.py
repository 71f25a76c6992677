"""Runs a technique's own function on random fp16 tensors, for Triton's interpreter to count its launches."""

import importlib

import torch


def run(target: str, shapes: dict[str, list[int]], arguments: dict[str, object], mode: str) -> None:
    """Calls "module:function" with tensors of these `shapes`: "forward" without gradients, "training" with, "both"
    with the backward pass after it.
    """
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    torch.manual_seed(0)
    tensors = {key: torch.randn(shape).half() for key, shape in shapes.items()}
    if mode == "forward":
        with torch.no_grad():
            function(**tensors, **arguments)
        return
    leaves = {key: tensor.requires_grad_() for key, tensor in tensors.items()}
    out = function(**leaves, **arguments)
    if mode == "both":
        out.backward(torch.randn_like(out))
