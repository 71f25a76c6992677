"""How much memory torch's sum over the rows of a matrix takes besides its result, on a GPU.

After aten/src/ATen/native/cuda/Reduce.cuh (setReduceConfig, global_memory_size), for contiguous columns: a program adds
up a block of columns; if there are many rows, several programs share them, and each keeps its sums in a buffer.
"""

_THREADS, _WARP, _VECTOR, _SINGLE = 512, 32, 4, 4
_PER_PROCESSOR = 2048
_LEAST_ROWS, _MOST_ROWS = 16, 256


def partial_sum_bytes(rows: int, columns: int, multiprocessors: int) -> int:
    """Bytes of the buffer and of its counters for a sum of [rows, columns] over its rows, added up in float32; 0 if no
    rows are shared.
    """
    vectors = max(1, columns // _VECTOR)
    width = min(_WARP, 1 << (vectors.bit_length() - 1))
    height = max(1, min(_THREADS // _VECTOR // width, 1 << (max(rows, 1).bit_length() - 1)))
    each = -(-rows // height)
    if each < _MOST_ROWS:
        return 0
    grid = -(-vectors // width)
    target = multiprocessors * (_PER_PROCESSOR // (width * height))
    shares = max(min(-(-target // grid), -(-each // _LEAST_ROWS)), -(-each // _MOST_ROWS))
    return _SINGLE * columns * shares * width * _VECTOR + _SINGLE * grid if shares > 1 else 0
