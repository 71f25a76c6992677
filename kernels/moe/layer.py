"""The mixture-of-experts layer: checks, routing, then the experts.

In: x [T,d], router and expert weights. Out: [T,d].
"""

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from triton.runtime.jit import JITFunction

from tfcost_kernels.ffn.activations import ACTIVATIONS
from tfcost_kernels.moe.experts import Settings, experts
from tfcost_kernels.moe.products import product_kernel
from tfcost_kernels.moe.routing import plan, route
from tfcost_kernels.moe.tiles import Tiles, tiles_for

DTYPES = (torch.bfloat16, torch.float16, torch.float32)


def moe_ffn(
    x: Tensor, w_router: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor, *,
    k: int, activation: str = "silu", tiles: Tiles | None = None,
) -> Tensor:  # fmt: skip
    """Each token through its k likeliest experts, weighted by the router's renormalised softmax; none is dropped.

    x is [T,d], w_router [E,d], w_gate and w_up [E,f,d], w_down [E,d,f]; the result is [T,d] in x's dtype. An expert is
    (act(x W_gate^T) * (x W_up^T)) W_down^T with act "silu", "gelu" or "relu". Gradients reach all five tensors; the
    choice of experts itself has none. Weights may have any strides; rows of x that are not contiguous are copied.
    `tiles` replaces the table's tile sizes. Raises ValueError for shapes, dtypes or devices that the kernels lack.
    The grouped products follow MegaBlocks (arXiv 2211.15841) and ScatterMoE (arXiv 2403.08245).
    """
    tiles = tiles or tiles_for(x.element_size())
    _check(x, (w_router, w_gate, w_up, w_down), activation)
    _check_sizes(x.shape, w_router.shape, w_gate.shape, w_up.shape, w_down.shape, k)
    if tiles.gate_up.rows != tiles.product.rows:
        raise ValueError(f"gate_up and product tiles need the same rows, got {tiles}")
    x = x.contiguous()
    scale, chosen = route(x, w_router, k)
    settings = Settings(plan(chosen, w_router.shape[0], tiles.product.rows), k, activation, tiles)
    return experts(x, scale, w_gate, w_up, w_down, settings)


def _check(x: Tensor, weights: tuple[Tensor, ...], activation: str) -> None:
    """Raise ValueError for inputs that the kernels cannot take."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation '{activation}' is not one of {ACTIVATIONS}")
    if (x.ndim, *(weight.ndim for weight in weights)) != (2, 2, 3, 3, 3):
        raise ValueError(
            "x must be [T,d], w_router [E,d], w_gate and w_up [E,f,d], w_down [E,d,f], got "
            f"{[tuple(tensor.shape) for tensor in (x, *weights)]}"
        )
    if x.dtype not in DTYPES or any(weight.dtype != x.dtype for weight in weights):
        raise ValueError(f"all tensors must share one dtype of {DTYPES}, got {x.dtype}, {[w.dtype for w in weights]}")
    if any(weight.device != x.device for weight in weights):
        raise ValueError(f"all tensors must be on one device, got {x.device}, {[w.device for w in weights]}")
    compiled = isinstance(product_kernel, JITFunction)
    if compiled and x.device.type != "cuda" and not isinstance(x, FakeTensor):
        raise ValueError(f"the moe kernels need a CUDA device (or TRITON_INTERPRET=1), got {x.device}")


def _check_sizes(
    x: torch.Size, router: torch.Size, gate: torch.Size, up: torch.Size, down: torch.Size, k: int
) -> None:  # fmt: skip
    """Compare known sizes only: a comparison with a symbolic size would fix it to its example value."""
    pairs = [("w_router's experts", router[0], gate[0]), ("w_router's width", router[1], x[1])]
    pairs += [("w_gate's width", gate[2], x[1])]
    pairs += [(f"w_up dimension {axis}", up[axis], gate[axis]) for axis in range(3)]
    pairs += [(f"w_down dimension {axis}", down[axis], gate[other]) for axis, other in ((0, 0), (1, 2), (2, 1))]
    for name, got, wanted in pairs:
        if isinstance(got, int) and isinstance(wanted, int) and got != wanted:
            raise ValueError(f"{name} is {got}, expected {wanted}: x {tuple(x)}, w_gate {tuple(gate)}")
    if any(isinstance(size, int) and size < 1 for size in (*x, *gate)):
        raise ValueError(f"every size must be at least 1, got x {tuple(x)}, w_gate {tuple(gate)}")
    if isinstance(k, int) and isinstance(gate[0], int) and not 1 <= k <= gate[0]:
        raise ValueError(f"k must be 1 to the number of experts {gate[0]}, got {k}")
