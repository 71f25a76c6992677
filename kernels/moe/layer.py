"""The mixture-of-experts layer: checks, routing, then the experts.

In: x [T,d], router and expert weights. Out: [T,d].
"""

from torch import Tensor

from tfcost_kernels.common.checks import check_tensors
from tfcost_kernels.common.shapes import check_filled, differ
from tfcost_kernels.ffn.activations import ACTIVATIONS
from tfcost_kernels.moe.experts import Settings, experts
from tfcost_kernels.moe.products import product_kernel
from tfcost_kernels.moe.routing import plan, route
from tfcost_kernels.moe.tiles import Tiles, tiles_for


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
    check_experts(x, w_router, w_gate, w_up, w_down, k, activation)
    if tiles.gate_up.rows != tiles.product.rows:
        raise ValueError(f"gate_up and product tiles need the same rows, got {tiles}")
    x = x.contiguous()
    scale, chosen = route(x, w_router, k)
    settings = Settings(plan(chosen, w_router.shape[0], tiles.product.rows), k, activation, tiles)
    return experts(x, scale, w_gate, w_up, w_down, settings)


def check_experts(
    x: Tensor, router: Tensor, gate: Tensor, up: Tensor, down: Tensor, k: int, activation: str = "silu"
) -> None:
    """Raise ValueError for arguments of `moe_ffn` that the kernels cannot take, or a k that is no number of experts."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation '{activation}' is not one of {ACTIVATIONS}")
    if (x.ndim, router.ndim, gate.ndim, up.ndim, down.ndim) != (2, 2, 3, 3, 3):
        raise ValueError(
            "x must be [T,d], w_router [E,d], w_gate and w_up [E,f,d], w_down [E,d,f], got "
            f"{[tuple(tensor.shape) for tensor in (x, router, gate, up, down)]}"
        )
    check_tensors("moe", product_kernel, x=x, w_router=router, w_gate=gate, w_up=up, w_down=down)
    equal = [("w_router's experts", router.shape[0], gate.shape[0]), ("w_router's width", router.shape[1], x.shape[1])]
    equal += [("w_gate's width", gate.shape[2], x.shape[1])]
    equal += [(f"w_up dimension {axis}", up.shape[axis], gate.shape[axis]) for axis in range(3)]
    equal += [(f"w_down dimension {axis}", down.shape[axis], gate.shape[o]) for axis, o in ((0, 0), (1, 2), (2, 1))]
    for name, got, wanted in equal:
        if differ(got, wanted):
            raise ValueError(f"{name} is {got}, expected {wanted}: x {tuple(x.shape)}, w_gate {tuple(gate.shape)}")
    check_filled(x=x, w_gate=gate)
    if isinstance(k, int) and isinstance(gate.shape[0], int) and not 1 <= k <= gate.shape[0]:
        raise ValueError(f"k must be 1 to the number of experts {gate.shape[0]}, got {k}")
