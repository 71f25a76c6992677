"""Device functions of all window kernels: which rows and keys a program owns, which tiles it visits, who sees whom.

In: program ids and the integers of a launch (geometry.py). Out: ranges and masks. Rows and keys are counted inside a
class, a sub-sequence of the positions (README.md, "Classes"); tiles start at multiples of their size.
"""

import triton
import triton.language as tl


@triton.jit
def class_keys(index, m, period, key_start, least, tail, LAYOUT: tl.constexpr):
    """(step, start, end, high, sure, most): key t of the class is key start + step*t and exists for 0 <= t < high.

    Every class has the keys below `sure`, none has `most` or above. The class itself goes on to `end`: a block before
    the first key has no keys, but may have queries.
    """
    step = 1
    if LAYOUT == "residues":
        step = period
        start = index
        sure = least
        most = least + tl.minimum(tail, 1)
        end = sure + tl.where(index < tail, 1, 0)
        high = end
    elif LAYOUT == "blocks":
        start = index * period + key_start
        end = tl.where(index == tl.num_programs(0) - 1, tail, period)
        high = tl.where(start < 0, 0, end)
        sure = high
        most = high
    else:
        start = 0
        end = m
        high = m
        sure = m
        most = m
    return step, start, end, high, sure, most


@triton.jit
def class_rows(index, period, lead, LAYOUT: tl.constexpr):
    """(start, low, sure_low): row s of the class is query start + step*s and exists from `low` on.

    Every class has the rows from `sure_low` on. They exist up to the class's end: s < end - shift.
    """
    if LAYOUT == "residues":
        start = index - lead
        low = tl.where(index < lead, 1, 0)
        sure_low = tl.minimum(lead, 1)
    elif LAYOUT == "blocks":
        start = index * period - lead
        low = tl.maximum(-start, 0)
        sure_low = low
    else:
        start = 0
        low = 0
        sure_low = 0
    return start, low, sure_low


@triton.jit
def visible_keys(first, w, g, sure, most, BM: tl.constexpr, CAUSAL: tl.constexpr, PATTERN: tl.constexpr):
    """(low, stop, full_low, full_high) of the BM queries from position `first` on.

    They see no key outside of [low, stop), global ones apart, and each sees every key of [full_low, full_high).
    """
    last = first + BM - 1
    low = 0
    full_low = 0
    stop = most
    full_high = sure
    if CAUSAL:
        stop = tl.minimum(last + 1, most)
        full_high = tl.minimum(first + 1, sure)
    if PATTERN == "apart":
        full_high = tl.minimum(first - 1, sure)
        if CAUSAL:
            stop = tl.minimum(last - 1, most)
    if PATTERN == "band" or PATTERN == "global":
        low = tl.maximum(first - w, 0)
        full_low = last - w
        if not CAUSAL:
            stop = tl.minimum(last + w + 1, most)
            full_high = tl.minimum(first + w + 1, sure)
    if PATTERN == "global" and not CAUSAL:
        # A global query sees all keys, so its tile walks over all of them.
        low = tl.where(first < g, 0, low)
        stop = tl.where(first < g, most, stop)
        full_low = tl.where(last < g, 0, full_low)
        full_high = tl.where(last < g, sure, full_high)
    return low, stop, full_low, full_high


@triton.jit
def visible_rows(
    first_key, shift, w, g, sure_low, sure, most, BN: tl.constexpr, CAUSAL: tl.constexpr, PATTERN: tl.constexpr
):
    """(low, stop, full_low, full_high) of the rows that see the BN keys from `first_key` on, like `visible_keys`."""
    first = first_key - shift
    last = first + BN - 1
    low = 0
    full_low = sure_low
    stop = most
    full_high = sure
    if CAUSAL:
        low = tl.maximum(first, 0)
        full_low = tl.maximum(last, sure_low)
    if PATTERN == "apart":
        full_low = tl.maximum(last + 2, sure_low)
        if CAUSAL:
            low = tl.maximum(first + 2, 0)
    if PATTERN == "band" or PATTERN == "global":
        stop = tl.minimum(last + w + 1, most)
        full_high = tl.minimum(first + w + 1, sure)
        if not CAUSAL:
            low = tl.maximum(first - w, 0)
            full_low = tl.maximum(last - w, sure_low)
    if PATTERN == "global":
        # A global key is seen by all rows, if causal by all later ones.
        stop = tl.where(first_key < g, most, stop)
        full_high = tl.where(first_key + BN <= g, sure, full_high)
        if not CAUSAL:
            low = tl.where(first_key < g, 0, low)
            full_low = tl.where(first_key + BN <= g, sure_low, full_low)
    return low, stop, full_low, full_high


@triton.jit
def split_tiles(low, stop, full_low, full_high, reach, TILE: tl.constexpr):
    """(extras, begin, left, inner, edges), in tiles: `inner` tiles from begin + left on need no mask.

    The `edges` masked ones are tiles 0 ... extras - 1, which hold [0, reach), the `left` tiles from `begin` on, and
    those between the inner tiles and `stop`.
    """
    begin = low // TILE
    end = tl.cdiv(tl.maximum(stop, low), TILE)
    full_begin = tl.minimum(tl.maximum(tl.cdiv(tl.maximum(full_low, 0), TILE), begin), end)
    full_end = tl.maximum(full_high, 0) // TILE
    inner = tl.maximum(full_end - full_begin, 0)
    extras = tl.minimum(tl.cdiv(reach, TILE), begin)
    return extras, begin, full_begin - begin, inner, end - begin - inner + extras


@triton.jit
def tile_start(number, tiles, TILE: tl.constexpr, PATTERN: tl.constexpr, MASKED: tl.constexpr):
    """The first row or key of the masked or unmasked tile `number` of `tiles` (see split_tiles)."""
    extras, begin, left, inner, _ = tiles
    if not MASKED:
        return (begin + left + number) * TILE
    tile = begin + number
    if PATTERN == "global":
        tile = tl.where(number < extras, number, tile - extras)
        left += extras
    return tl.where(number < left, tile, tile + inner) * TILE


@triton.jit
def sees(position, key, w, g, CAUSAL: tl.constexpr, PATTERN: tl.constexpr):
    """Whether the query at `position` sees `key`; both broadcast to one tile. Neither need exist."""
    distance = position - key
    if CAUSAL:
        if PATTERN == "band":
            seen = (distance >= 0) & (distance <= w)
        elif PATTERN == "apart":
            seen = distance >= 2
        elif PATTERN == "global":
            seen = (distance >= 0) & ((distance <= w) | (key < g))
        else:
            seen = distance >= 0
    else:
        if PATTERN == "band":
            seen = (distance >= -w) & (distance <= w)
        elif PATTERN == "apart":
            seen = (distance >= 2) | (distance <= -2)
        elif PATTERN == "global":
            seen = ((distance >= -w) & (distance <= w)) | (key < g) | (position < g)
        else:
            seen = key >= 0
    return seen


@triton.jit
def token_offsets(local, start, step, tokens, LAYOUT: tl.constexpr, CLAMPED: tl.constexpr):
    """How far behind `start` in the tensor the rows or keys `local` of a tile are. 64-bit where they may lie far apart.

    CLAMPED: what is outside of the tensor becomes its first or last token.
    """
    offset = step * local
    if CLAMPED:
        offset = tl.minimum(tl.maximum(offset, -start), tokens - 1 - start)
    if LAYOUT == "residues":
        offset = tl.cast(offset, tl.int64)
    return offset


@triton.jit
def query_rows(first, start, step, low, high, n, BM: tl.constexpr, LAYOUT: tl.constexpr):
    """(row, exists, token, offset) of the BM rows of a class from row `first` on; the class has those in [low, high).

    They are `offset` [BM] behind the tensor's row `token`, in 64 bits; `start` is that of the class's row 0.
    """
    local = tl.arange(0, BM)
    row = first + local
    token = start + step * first
    offset = token_offsets(local, token, step, n, LAYOUT, False)
    return row, (row >= low) & (row < high), tl.cast(token, tl.int64), offset


@triton.jit
def elements(token, offset, stride, D: tl.constexpr):
    """Where the rows `offset` behind `token` lie, [rows, D], in elements behind the head's first."""
    return token * stride + (offset[:, None] * stride + tl.arange(0, D)[None, :])
