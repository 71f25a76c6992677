"""What attention launchers pass to their kernels. In: tensors, a head width. Out: strides in elements, scales."""

import math

from torch import Tensor


def strides(*tensors: Tensor) -> list[int]:
    """Batch, head and row strides of each tensor, in elements; the last stride is 1 by contract."""
    return [stride for tensor in tensors for stride in tensor.stride()[:-1]]


def rows_contiguous(tensor: Tensor) -> Tensor:
    """`tensor`, copied only if its last dimension has gaps (an expanded gradient has stride 0)."""
    stride = tensor.stride(-1)
    return tensor if isinstance(stride, int) and stride == 1 else tensor.contiguous()


def scales(head_width: int) -> tuple[float, float]:
    """What scores are multiplied by: 1/sqrt(d_h), and the same for powers of 2 instead of e."""
    scale = 1.0 / math.sqrt(head_width)
    return scale, scale * math.log2(math.e)
