"""Launches of the flash kernels on random fp16 tensors, one function per pass, for Triton's interpreter to count.

`layout` names the strides of the inputs: heads before rows, rows before heads, or rows with unused columns between.
"""

import torch
from torch import Tensor

from tfcost_kernels.common.gradients import launch_delta
from tfcost_kernels.flash.attention import launch_dk_dv, launch_dq, launch_forward
from tfcost_kernels.flash.tiles import Tile

LAYOUTS = ("bhnd", "bnhd", "gaps")


def stored_shape(layout: str, b: object, h: object, n: object, d_h: object) -> tuple[object, ...]:
    """The shape of the tensor behind [b, h, n, d_h] in this layout."""
    return {"bhnd": (b, h, n, d_h), "bnhd": (b, n, h, d_h), "gaps": (b, h, n, 3, d_h)}[layout]


def heads_first(tensor: Tensor, layout: str) -> Tensor:
    """[b, h, n, d_h] as a view of the stored tensor."""
    if layout == "bnhd":
        return tensor.transpose(1, 2)
    return tensor[:, :, :, 1] if layout == "gaps" else tensor


def _make(layout: str, *sizes: int) -> Tensor:
    return heads_first(torch.randn(*stored_shape(layout, *sizes)).half(), layout)  # type: ignore[arg-type]


def _inputs(b: int, h_kv: int, r: int, n: int, m: int, d_h: int, layout: str) -> tuple[Tensor, Tensor, Tensor]:
    queries, keys = (b, h_kv * r, n, d_h), (b, h_kv, m, d_h)
    return _make(layout, *queries), _make(layout, *keys), _make(layout, *keys)


def _rows(q: Tensor) -> Tensor:
    return torch.zeros(q.shape[:3])


def forward(causal: bool, tile: list[int], save_lse: bool, layout: str, **sizes: int) -> None:
    launch_forward(*_inputs(layout=layout, **sizes), causal, Tile(*tile, 4, 1), save_lse=save_lse)


def delta(causal: bool, tile: list[int], layout: str, **sizes: int) -> None:
    o = _inputs(layout=layout, **sizes)[0]
    launch_delta(o, o.clone(), tile[0])


def dk_dv(causal: bool, tile: list[int], layout: str, **sizes: int) -> None:
    q, k, v = _inputs(layout=layout, **sizes)
    launch_dk_dv(q, k, v, torch.randn_like(q), _rows(q), _rows(q), causal, Tile(*tile, 4, 1))


def dq(causal: bool, tile: list[int], layout: str, **sizes: int) -> None:
    q, k, v = _inputs(layout=layout, **sizes)
    launch_dq(q, k, v, torch.randn_like(q), _rows(q), _rows(q), causal, Tile(*tile, 4, 1))
