"""Device functions: softmax over tiles of keys that come one after the other, all rows of a tile of queries at once.

State: `acc` [R, D], the sum so far of weights times values; `row_max` [R], the greatest score so far in base 2;
`row_sum` [R], the sum of weights; a weight is 2**(score - row_max). (Milakov and Gimelshein, arXiv 1805.02867.)
"""

import triton
import triton.language as tl


@triton.jit
def no_keys_yet(R: tl.constexpr, D: tl.constexpr):
    """(acc, row_max, row_sum) before the first key."""
    return tl.zeros([R, D], tl.float32), tl.full([R], float("-inf"), tl.float32), tl.zeros([R], tl.float32)


@triton.jit
def weigh(acc, row_max, row_sum, scores, scale_log2, MAY_BE_EMPTY: tl.constexpr):
    """(weights of `scores` [R, keys], and the state scaled to them; acc still lacks their values).

    `scale_log2` takes scores to base 2. MAY_BE_EMPTY: a row may have seen no key so far, all its scores -inf.
    """
    new_max = tl.maximum(row_max, tl.max(scores, 1) * scale_log2)
    # A row without any key so far has new_max = -inf, and -inf - -inf would be NaN.
    shift = tl.where(new_max == float("-inf"), 0.0, new_max) if MAY_BE_EMPTY else new_max
    weights = tl.exp2(scores * scale_log2 - shift[:, None])
    decay = tl.exp2(row_max - shift)
    row_sum = row_sum * decay + tl.sum(weights, 1)
    return weights, acc * decay[:, None], new_max, row_sum


@triton.jit
def finished(acc, row_max, row_sum):
    """(O [R, D], base-2 log-sum-exp [R]): 0 and +inf for a row without keys, so that its weights are 0 later on."""
    empty = row_sum == 0.0
    row_sum = tl.where(empty, 1.0, row_sum)
    return acc / row_sum[:, None], tl.where(empty, float("inf"), row_max + tl.log2(row_sum))
