"""Indexing as it is done for real: x[:, :, a:b] slices one dimension and leaves the full ones alone.

With symbolic sizes torch cannot see that ":" covers a dimension and slices every one; each such slice would cost a
tensor of zeros in the backward pass.
"""

from typing import Any

import torch
from torch.fx.experimental.symbolic_shapes import statically_known_true

_Basic = (slice, int, torch.SymInt, type(None), type(Ellipsis))


def index_as_for_real(tensor: torch.Tensor, index: Any) -> torch.Tensor:
    """tensor[index]; anything but slices with step 1, integers, None and ... is left to torch."""
    parts = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(part, _Basic) and not isinstance(part, bool) for part in parts):
        return tensor[index]
    if any(isinstance(part, slice) and part.step not in (None, 1) for part in parts):
        return tensor[index]
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    result, dim = tensor, 0
    for part in parts:
        if part is None:
            result, dim = result.unsqueeze(dim), dim + 1
        elif part is Ellipsis:
            dim += tensor.dim() - taken
        elif isinstance(part, slice):
            if not _covers(part, result.shape[dim]):
                result = torch.ops.aten.slice.Tensor(result, dim, part.start, part.stop)
            dim += 1
        else:
            result = result.select(dim, part)
    # Like x[:], an index that takes everything still gives a tensor of its own.
    return torch.ops.aten.alias(tensor) if result is tensor else result


def _covers(part: slice, size: Any) -> bool:
    from_start = part.start is None or statically_known_true(part.start == 0)
    return from_start and (part.stop is None or statically_known_true(part.stop == size))
