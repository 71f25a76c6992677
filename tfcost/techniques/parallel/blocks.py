"""A residual block on one of T GPUs: every GPU has h/T heads, or f/T of the hidden width, and all weights for them.

What is inside a block is the code that one GPU alone would run, on fewer heads or columns; around it is an exchange
(see `exchange`). In tensor parallelism x [b, n, d] is whole on every GPU. In sequence parallelism x [b·n/T, d] are this
GPU's rows, norms and residuals included.
"""

from collections.abc import Callable

from torch import Tensor

from tfcost.collectives import Group, all_gather
from tfcost.techniques.parallel.exchange import Kept, copied, gathered, reduced, scattered

Inner = Callable[[Tensor], Tensor]


def whole_rows(inner: Inner, group: Group, bias: Tensor | None = None) -> Inner:
    """`inner`, which gives this GPU's part of a sum, on rows that every GPU has; then `bias` [d]. x: [b, n, d]."""

    def run(x: Tensor) -> Tensor:
        return _with_bias(reduced(inner(copied(x, group)), group), bias)

    return run


def split_rows(inner: Inner, group: Group, b: int, n: int, bias: Tensor | None = None) -> Inner:
    """`inner` as in `whole_rows` on all rows [b, n, d], of which a GPU has its own, [b·n/T, d]; it keeps no others."""

    def run(x: Tensor) -> Tensor:
        own = x.detach()
        kept = Kept(lambda: all_gather(own, group, b * n))
        rows = gathered(x, kept, group, b * n)
        with kept.instead_of(rows):
            out = inner(rows.view(b, n, x.shape[1]))
        del rows
        out = scattered(out.view(b * n, x.shape[1]), group, x.shape[0])
        return _with_bias(out, own_weight(bias, group))

    return run


def own_weight(weight: Tensor | None, group: Group) -> Tensor | None:
    """A weight that every GPU uses on rows of its own: its gradients are summed over the GPUs."""
    return None if weight is None else copied(weight, group)


def _with_bias(out: Tensor, bias: Tensor | None) -> Tensor:
    """The bias is added once the GPUs' parts are summed, else it would be added once per GPU."""
    return out if bias is None else out.add_(bias)
