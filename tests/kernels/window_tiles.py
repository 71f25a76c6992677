"""Which tiles a launch of the window family has to visit, enumerated from the masks alone: the oracle of its cost.

Rows and keys are taken class by class, as positions, and cut into tiles; a tile counts if a query of it sees a key of
it. Queries that only fill up a tile or a class count like others, for their products are computed too.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from tfcost_kernels.window import reference

Class = tuple[range, range]
Allowed = Callable[[Tensor, Tensor], Tensor]


def visited(pattern: str, numbers: tuple[int, ...], causal: bool, n: int, tile: tuple[int, int]) -> int:
    """How many pairs of a tile of rows and one of keys hold an allowed pair, for n = m, in all passes together."""
    return sum(
        _tiles_seen(allowed, rows, keys, *tile)
        for allowed, classes in _passes(pattern, numbers, causal, n)
        for rows, keys in classes
    )


def _passes(pattern: str, numbers: tuple[int, ...], causal: bool, n: int) -> Iterator[tuple[Allowed, list[Class]]]:
    predicate = getattr(reference, pattern)(*numbers, causal)

    def allowed(i: Tensor, j: Tensor) -> Tensor:
        return predicate(i, j, n, n)

    if pattern == "strided":
        local = reference.window(numbers[0], causal)
        yield lambda i, j: local(i, j, n, n), _one_class(n)
        yield lambda i, j: predicate(i, j, n, n) & ~local(i, j, n, n), _residues(numbers[0], n)
    elif pattern == "dilated":
        yield allowed, _residues(numbers[1], n)
    elif pattern == "block_local":
        c = numbers[0]
        yield allowed, [(range(start, start + c), range(start, min(start + c, n))) for start in range(0, n, c)]
    else:
        yield allowed, _one_class(n)


def _one_class(n: int) -> list[Class]:
    return [(range(n), range(n))]


def _residues(period: int, n: int) -> list[Class]:
    """All residue classes, each as long as the longest."""
    stop = -(-n // period) * period
    return [(range(residue, stop, period),) * 2 for residue in range(period)]


def _tiles_seen(allowed: Allowed, rows: range, keys: range, row_tile: int, key_tile: int) -> int:
    step = rows.step
    whole_rows = torch.arange(rows.start, rows.start + step * (-(-len(rows) // row_tile) * row_tile), step)
    seen: Any = allowed(whole_rows[:, None], torch.tensor(keys)[None, :])
    padding = -len(keys) % key_tile
    seen = torch.nn.functional.pad(seen, (0, padding)).unflatten(1, (-1, key_tile)).unflatten(0, (-1, row_tile))
    return int(seen.any(dim=3).any(dim=1).sum())
