"""Small kernels of the tests and their launchers: matmuls, branches, atomics, descriptors, rows, ragged masks."""

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor


@triton.jit
def matmul_tile(A, B, C, row, column, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    rows = row * BM + tl.arange(0, BM)
    columns = column * BN + tl.arange(0, BN)
    inner = tl.arange(0, BK)
    a_tile = A + rows[:, None] * K + inner[None, :]
    b_tile = B + inner[:, None] * N + columns[None, :]
    acc = tl.zeros([BM, BN], tl.float32)
    for step in range(tl.cdiv(K, BK)):
        left = K - step * BK
        a = tl.load(a_tile, mask=(rows[:, None] < M) & (inner[None, :] < left), other=0.0)
        b = tl.load(b_tile, mask=(inner[:, None] < left) & (columns[None, :] < N), other=0.0)
        acc = tl.dot(a, b, acc)
        a_tile += BK
        b_tile += BK * N
    tl.store(C + rows[:, None] * N + columns[None, :], acc, mask=(rows[:, None] < M) & (columns[None, :] < N))


@triton.jit
def matmul(A, B, C, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """One tile per program, tiles in rows: the program id is taken apart by the number of column tiles."""
    columns = tl.cdiv(N, BN)
    matmul_tile(A, B, C, tl.program_id(0) // columns, tl.program_id(0) % columns, M, N, K, BM, BN, BK)


@triton.jit
def grouped_matmul(A, B, C, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr):
    """Persistent programs over tiles that are visited in groups of GROUP rows."""
    row_tiles = tl.cdiv(M, BM)
    column_tiles = tl.cdiv(N, BN)
    per_group = GROUP * column_tiles
    for tile in range(tl.program_id(0), row_tiles * column_tiles, tl.num_programs(0)):
        first = tile // per_group * GROUP
        height = tl.minimum(row_tiles - first, GROUP)
        row = first + tile % per_group % height
        column = tile % per_group // height
        matmul_tile(A, B, C, row, column, M, N, K, BM, BN, BK)


def _matrices(m, n, k):
    return torch.randn(m, k).half(), torch.randn(k, n).half(), torch.empty(m, n)


def launch_matmul(m, n, k):
    BM, BN, BK = 64, 32, 32
    matmul[(triton.cdiv(m, BM) * triton.cdiv(n, BN),)](*_matrices(m, n, k), m, n, k, BM=BM, BN=BN, BK=BK)


def launch_grouped_matmul(m, n, k, programs):
    BM, BN, BK = 64, 32, 32
    grid = min(programs, triton.cdiv(m, BM) * triton.cdiv(n, BN))
    grouped_matmul[(grid,)](*_matrices(m, n, k), m, n, k, BM=BM, BN=BN, BK=BK, GROUP=3)


@triton.jit
def strided_copy(X, Y, M, N, PROGRAMS: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr):
    """Persistent: loads by the loop's index, stores by a counter that is carried beside it."""
    columns = tl.cdiv(N, BN)
    stored = tl.program_id(0) - PROGRAMS
    for tile in range(tl.program_id(0), tl.cdiv(M, BM) * columns, PROGRAMS):
        row = tile // columns * BM + tl.arange(0, BM)
        column = tile % columns * BN + tl.arange(0, BN)
        x = tl.load(X + row[:, None] * N + column[None, :], mask=(row[:, None] < M) & (column[None, :] < N))
        stored += PROGRAMS
        row = stored // columns * BM + tl.arange(0, BM)
        column = stored % columns * BN + tl.arange(0, BN)
        tl.store(Y + row[:, None] * N + column[None, :], x, mask=(row[:, None] < M) & (column[None, :] < N))


def launch_strided_copy(m, n):
    x = torch.randn(m, n)
    strided_copy[(5,)](x, torch.empty_like(x), m, n, PROGRAMS=5, BM=16, BN=32)


@triton.jit
def branches(X, Y, N, FIRST, B: tl.constexpr):
    """Leaves early, treats some programs differently, and carries a scalar out of a branch."""
    tile = tl.program_id(0)
    if tile * B >= N:
        return
    lanes = tile * B + tl.arange(0, B)
    x = tl.load(X + lanes, mask=lanes < N, other=0.0)
    if tile < FIRST:
        x += tl.load(Y + lanes, mask=lanes < N, other=0.0)
        stop = N // 2
    else:
        stop = N
    if tile % 2 == 1:
        tl.store(Y + lanes, x, mask=lanes < stop)
    if tile == 2:
        tl.store(Y, 1.0)
    for i in range(tile, stop, 7):
        tl.store(X + i, 2.0)


def launch_branches(n, first, programs):
    branches[(programs,)](torch.randn(n), torch.randn(n), n, first, B=16)


@triton.jit
def skip_by_data(X, Y, N, B: tl.constexpr):
    lanes = tl.program_id(0) * B + tl.arange(0, B)
    x = tl.load(X + lanes, mask=lanes < N, other=0.0)
    if tl.max(x, 0) > 0:
        tl.store(Y + lanes, x * 2, mask=lanes < N)
    tl.store(Y + lanes, x, mask=(lanes < N) & (x > 0))


def launch_skip_by_data(n):
    skip_by_data[(triton.cdiv(n, 16),)](torch.randn(n), torch.empty(n), n, B=16)


@triton.jit
def scatter_add(X, OUT, COUNT, N, K, B: tl.constexpr, D: tl.constexpr):
    """Atomic adds of a ragged tile, split over two program axes."""
    rows = tl.program_id(0) * B + tl.arange(0, B)
    columns = tl.program_id(1) * D + tl.arange(0, D)
    inside = (rows[:, None] < N) & (columns[None, :] < K)
    x = tl.load(X + rows[:, None] * K + columns[None, :], mask=inside, other=0.0)
    tl.atomic_add(OUT + columns[None, :] + tl.zeros([B, 1], tl.int32), x, mask=inside)
    tl.atomic_add(COUNT, 1)


def launch_scatter_add(n, k):
    scatter_add[(triton.cdiv(n, 32), triton.cdiv(k, 16))](
        torch.randn(n, k), torch.zeros(k), torch.zeros(1, dtype=torch.int32), n, k, B=32, D=16
    )


@triton.jit
def copy_by_descriptor(X, Y, M, N, BM: tl.constexpr, BN: tl.constexpr):
    """Tensor descriptors made in the kernel; boxes shifted by half reach over every edge."""
    source = tl.make_tensor_descriptor(X, [M, N], [N, 1], [BM, BN])
    target = tl.make_tensor_descriptor(Y, [M, N], [N, 1], [BM, BN])
    row = tl.program_id(0) * BM - BM // 2
    for column in range(-BN // 2, N, BN):
        target.store([row, column], source.load([row, column]))


def launch_copy_by_descriptor(m, n):
    BM, BN = 16, 32
    x = torch.randn(m, n)
    copy_by_descriptor[(triton.cdiv(m + BM // 2, BM),)](x, torch.empty_like(x), m, n, BM=BM, BN=BN)


@triton.jit
def row_sums_by_descriptor(X, OUT, M, BM: tl.constexpr, BN: tl.constexpr):
    """A descriptor made by the host."""
    row = tl.program_id(0) * BM
    total = tl.zeros([BM], tl.float32)
    for column in range(0, 3 * BN, BN):
        total += tl.sum(X.load([row, column]).to(tl.float32), 1)
    rows = row + tl.arange(0, BM)
    tl.store(OUT + rows, total, mask=rows < M)


def launch_row_sums_by_descriptor(m, n):
    BM, BN = 16, 32
    x = torch.randn(m, n).half()
    row_sums_by_descriptor[(triton.cdiv(m, BM),)](
        TensorDescriptor(x, [m, n], [n, 1], [BM, BN]), torch.empty(m), m, BM=BM, BN=BN
    )


@triton.jit
def softmax_rows(X, Y, ROWS, COLUMNS, B: tl.constexpr):
    """Rows strided over programs; three passes of which the last runs backwards."""
    for row in range(tl.program_id(0), ROWS, tl.num_programs(0)):
        largest = tl.full([B], float("-inf"), tl.float32)
        for start in range(0, COLUMNS, B):
            lanes = start + tl.arange(0, B)
            x = tl.load(X + row * COLUMNS + lanes, mask=lanes < COLUMNS, other=float("-inf"))
            largest = tl.maximum(largest, x)
        top = tl.max(largest, 0)
        total = 0.0
        offset = 0
        for _ in range(0, COLUMNS, B):
            lanes = offset + tl.arange(0, B)
            x = tl.load(X + row * COLUMNS + lanes, mask=lanes < COLUMNS, other=float("-inf"))
            total += tl.sum(tl.exp(x - top), 0)
            offset += B
        for start in range((tl.cdiv(COLUMNS, B) - 1) * B, -1, -B):
            lanes = start + tl.arange(0, B)
            x = tl.load(X + row * COLUMNS + lanes, mask=lanes < COLUMNS, other=float("-inf"))
            tl.store(Y + row * COLUMNS + lanes, tl.exp(x - top) / total, mask=lanes < COLUMNS)


def launch_softmax_rows(rows, columns, programs):
    x = torch.randn(rows, columns)
    softmax_rows[(programs,)](x, torch.empty_like(x), rows, columns, B=32)


@triton.jit
def ragged(X, Y, N, M, B: tl.constexpr, C: tl.constexpr):
    """Masks that tie lanes together, exclude, unite, and read lanes through reshapes and transpositions."""
    rows = tl.program_id(0) * B + tl.arange(0, B)
    columns = tl.program_id(1) * C + tl.arange(0, C)
    inside = (rows[:, None] < N) & (columns[None, :] < M)
    lower = rows[:, None] >= columns[None, :]
    where = rows[:, None] * M + columns[None, :]
    x = tl.load(X + where, mask=inside & lower, other=0.0)
    tl.store(Y + where, x, mask=inside & (lower | (columns[None, :] == 3)))
    tl.store(Y + where, x, mask=inside & (rows[:, None] != 5))
    flat = tl.arange(0, B * C)
    tl.store(Y + tl.reshape(flat, [B, C]), x, mask=tl.reshape(flat, [B, C]) < N)
    tl.store(Y + tl.trans(tl.reshape(flat, [C, B])), x, mask=tl.trans(tl.reshape(flat, [C, B])) % B < M)


def launch_ragged(n, m):
    B, C = 16, 8
    x = torch.randn(max(n * m, B * C))
    ragged[(triton.cdiv(n, B), triton.cdiv(m, C))](x, torch.empty_like(x), n, m, B=B, C=C)


@triton.jit(noinline=True)
def store_one(Y, place, N):
    if place < N:
        tl.store(Y + place, 1.0)
    return place + 1


@triton.jit
def with_call(X, Y, N, B: tl.constexpr):
    """Calls that the compiler does not inline; their results bound a loop."""
    place = tl.program_id(0) * B
    x = tl.load(X + place)
    after = store_one(Y, place, N - 1)
    for i in range(after):
        tl.store(X + i, x)
        store_one(Y, i + 5, N)


def launch_with_call(n):
    with_call[(triton.cdiv(n, 16),)](torch.randn(n), torch.empty(n), n, B=16)


@triton.jit
def sorted_rows(X, Y, N, B: tl.constexpr):
    lanes = tl.arange(0, B)
    row = tl.program_id(0) * B + lanes
    x = tl.load(X + row, mask=row < N, other=0.0)
    tl.store(Y + row, tl.sort(x), mask=row < N)


def launch_sorted_rows(n):
    sorted_rows[(triton.cdiv(n, 16),)](torch.randn(n), torch.empty(n), n, B=16)


@triton.jit
def assembly(X, B: tl.constexpr):
    lanes = tl.arange(0, B)
    x = tl.load(X + lanes)
    y = tl.inline_asm_elementwise("shl.b32 $0, $1, 3;", "=r,r", [x], dtype=tl.int32, is_pure=True, pack=1)
    tl.store(X + lanes, y)


@triton.jit
def scaled_dot(X, S, Y):
    lanes = tl.arange(0, 64)
    x = tl.load(X + lanes[:, None] * 64 + lanes[None, :])
    s = tl.load(S + lanes[:, None] * 2 + tl.arange(0, 2)[None, :])
    tl.store(Y + lanes[:, None] * 64 + lanes[None, :], tl.dot_scaled(x, s, "e4m3", x, s, "e4m3"))


@triton.jit
def while_loaded(X):
    i = 0
    while tl.load(X + i) > 0:
        i += 1
    tl.store(X, i)


@triton.jit
def until_loaded(X, LENGTHS, MOST, B: tl.constexpr, BOUND: tl.constexpr):
    """A loop whose length is loaded; with BOUND it cannot exceed MOST."""
    length = tl.load(LENGTHS + tl.program_id(0))
    if BOUND:
        length = tl.minimum(length, MOST)
    for start in range(0, length, B):
        tl.store(X + start + tl.arange(0, B), 1.0)


@triton.jit
def unrolled(X, N, TIMES: tl.constexpr):
    place = tl.program_id(0)
    for _ in tl.static_range(TIMES):
        place += N
        tl.store(X, 1.0, mask=place < 5 * N)


@triton.jit
def flagged(X, FLAG, N, B: tl.constexpr):
    lanes = tl.program_id(0) * B + tl.arange(0, B)
    if FLAG:
        tl.store(X + lanes, 1.0, mask=lanes < N)
    else:
        tl.store(X, 1.0)
