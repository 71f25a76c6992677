"""What torch's sums take on a GPU, against what an H100's allocator recorded (132 multiprocessors)."""

import pytest

from tfcost.check.partial_sums import partial_sum_bytes


@pytest.mark.parametrize(
    ("rows", "columns", "recorded"),
    [
        (1024, 768, 6291456 + 24),  # the bias gradients of an attention block, n = 1024, d = 768
        (1024, 3072, 25165824 + 96),  # and of a feed-forward block, f = 3072
        (1000, 768, 0),  # at n = 1000 nothing was taken
    ],
)
def test_recorded_buffers(rows: int, columns: int, recorded: int) -> None:
    assert partial_sum_bytes(rows, columns, 132) == recorded


def test_grows_with_rows_until_the_gpu_is_full() -> None:
    sizes = [partial_sum_bytes(2**power, 768, 132) for power in range(10, 22)]
    assert sizes == sorted(sizes)
    assert partial_sum_bytes(2**14, 768, 66) <= partial_sum_bytes(2**14, 768, 132)
