"""Sizes to try a statement about all sizes at: small ones, tile edges, large ones; the same in every run."""

import random
from collections.abc import Collection, Iterator, Sequence

_VALUES = (1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 1000, 1024, 4096, 16384, 65536, 10**6)


def sample_sizes(
    symbols: Collection[str], count: int, divides: Sequence[tuple[str, str]] = ()
) -> Iterator[dict[str, int]]:
    """`count` choices of a value for each of `symbols`; each of `divides` (divisor, symbol) holds at all of them."""
    names = sorted(set(symbols) | {divisor for divisor, _ in divides if not divisor.isdigit()})
    chosen = random.Random(0)
    for index in range(count):
        if index < len(_VALUES):
            values = dict.fromkeys(names, _VALUES[index])
        else:
            values = {name: chosen.choice(_VALUES) for name in names}
        for divisor, name in divides:
            if name in values:
                values[name] *= int(divisor) if divisor.isdigit() else values[divisor]
        yield values
