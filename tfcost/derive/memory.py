"""Which storages are alive, and the most bytes that ever were: symbolic, so the maximum is a set of candidates.

Sizes are sums of monomials in positive integer symbols. `Memory` is told of new storages and looks for released ones
before each operation; `peak` drops every candidate that another one is at least as large as, for all sizes >= 1, and
`held` says which operations made what was alive at each.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import comb, prod

import sympy as sp
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from tfcost.derive.labels import Label
from tfcost.derive.sizes import Sizes

Total = frozenset[tuple[sp.Expr, int]]
Powers = frozenset[tuple[sp.Expr, sp.Expr | int]]


NOBODY = Label("", "", 0)
"""Whoever runs the traced code."""


@dataclass(frozen=True, slots=True)
class Held:
    """A storage that is alive: the operation `name` at `label` that made it, or the argument it is, and its bytes."""

    label: Label
    name: str
    size: sp.Expr


class Memory:
    """The live storages of one run, their total, and the totals at which it stood highest."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._alive: dict[int, tuple[StorageWeakRef, Held, int]] = {}
        self._count = 0
        self._total: Counter[sp.Expr] = Counter()
        self._candidates: dict[Total, tuple[Held, ...]] = {}

    def track(self, tensor: torch.Tensor, label: Label = NOBODY, name: str = "") -> bool:
        """Counts the tensor's storage if it is new, as made by operation `name` at `label`; returns whether it was."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._alive:
            return False
        size = self.storage_bytes(tensor)
        self._count += 1
        reference = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        self._alive[key] = (reference, Held(label, name, size), self._count)
        self._add(size, 1)
        return True

    def give(self, tensor: torch.Tensor, name: str) -> None:
        """Says that the tensor's storage is the argument `name`."""
        key = tensor.untyped_storage()._cdata
        reference, held, serial = self._alive[key]
        self._alive[key] = (reference, Held(Label("arguments", "", 0), name, held.size), serial)

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor's storage is counted."""
        return tensor.untyped_storage()._cdata in self._alive

    def serial(self, tensor: torch.Tensor) -> int:
        """The storage's number in order of appearance; unlike its address, never used twice."""
        return self._alive[tensor.untyped_storage()._cdata][2]

    def serials(self) -> set[int]:
        """The numbers of all storages alive now."""
        self.sweep()
        return {serial for _, _, serial in self._alive.values()}

    def storage_bytes(self, tensor: torch.Tensor) -> sp.Expr:
        """Bytes of the tensor's whole storage."""
        elements = self._sizes.expr(tensor.untyped_storage().nbytes()) / tensor.element_size()
        return elements * self._sizes.element_bytes(tensor)

    def sweep(self) -> None:
        """Forgets the storages that nobody holds any more."""
        for key, (reference, held, _) in list(self._alive.items()):
            if reference.expired():  # type: ignore[no-untyped-call]
                del self._alive[key]
                self._add(held.size, -1)

    def note(self, workspace: sp.Expr = sp.S.Zero, label: Label = NOBODY, name: str = "") -> None:
        """Records the present total, plus `workspace` bytes that operation `name` at `label` takes and returns, as a
        candidate.
        """
        total = self._total.copy()
        for monomial, count in _monomials(workspace):
            total[monomial] += count
        frozen = _frozen(total)
        if frozen not in self._candidates:
            taken = (Held(label, f"{name} (workspace)", workspace),) if workspace else ()
            self._candidates[frozen] = (*self._held(), *taken)

    def start_phase(self) -> None:
        """Begins a new maximum from what is alive now."""
        self.sweep()
        self._candidates = {_frozen(self._total): self._held()}

    def live(self) -> sp.Expr:
        """Bytes alive now."""
        self.sweep()
        return _expression(_frozen(self._total))

    def held_except(self, tensors: Iterable[torch.Tensor]) -> tuple[Held, ...]:
        """What is alive now, without the storages of `tensors`."""
        apart = {tensor.untyped_storage()._cdata for tensor in tensors}
        self.sweep()
        return tuple(held for key, (_, held, _) in self._alive.items() if key not in apart)

    def peak(self) -> tuple[sp.Expr, ...]:
        """The candidates for the largest total since `start_phase` that no other candidate dominates."""
        return _undominated({total: _shifted(total) for total in self._candidates})

    def held(self) -> dict[sp.Expr, tuple[Held, ...]]:
        """What was alive at each of the candidates for the largest total."""
        return {_expression(total): held for total, held in self._candidates.items()}

    def _held(self) -> tuple[Held, ...]:
        return tuple(held for _, held, _ in self._alive.values())

    def _add(self, size: sp.Expr, sign: int) -> None:
        for monomial, count in _monomials(size):
            self._total[monomial] += sign * count


def _monomials(size: sp.Expr) -> list[tuple[sp.Expr, int]]:
    return [(monomial, int(count)) for monomial, count in sp.expand(size).as_coefficients_dict().items() if count]


def _frozen(total: Counter[sp.Expr]) -> Total:
    return frozenset((monomial, count) for monomial, count in total.items() if count)


def _expression(total: Total) -> sp.Expr:
    return sp.Add(*(count * monomial for monomial, count in total))


def undominated(candidates: Iterable[sp.Expr]) -> tuple[sp.Expr, ...]:
    """The candidates that can be the maximum, in a fixed order.

    One is dropped if another is certainly at least as large for all symbols >= 1: written in x - 1 for each symbol x,
    no coefficient of the difference is negative.
    """
    totals = (frozenset(_monomials(candidate)) for candidate in candidates)
    return _undominated({total: _shifted(total) for total in totals})


def _undominated(shifted: Mapping[Total, Counter[Powers]]) -> tuple[sp.Expr, ...]:
    kept: list[Total] = []
    for total in shifted:
        if any(_covers(shifted[other], shifted[total]) for other in kept):
            continue
        kept = [other for other in kept if not _covers(shifted[total], shifted[other])]
        kept.append(total)
    return tuple(sorted((_expression(total) for total in kept), key=sp.default_sort_key))


def _covers(larger: Counter[Powers], smaller: Counter[Powers]) -> bool:
    return all(larger[powers] >= smaller[powers] for powers in larger.keys() | smaller.keys())


def _shifted(total: Total) -> Counter[Powers]:
    """Coefficients of `total` after replacing x by x + 1 in every symbol and tile count x (>= 1)."""
    coefficients: Counter[Powers] = Counter()
    for monomial, count in total:
        for powers, times in _shifted_monomial(monomial):
            coefficients[powers] += count * times
    return coefficients


@cache
def _shifted_monomial(monomial: sp.Expr) -> tuple[tuple[Powers, int], ...]:
    parts: list[list[tuple[tuple[sp.Expr, int], int]]] = []
    for base, exponent in monomial.as_powers_dict().items():
        if base.is_Number:
            continue
        at_least_one = base.is_Symbol or isinstance(base, sp.ceiling)
        if at_least_one and exponent.is_Integer and exponent > 0:
            parts.append([((base, power), comb(int(exponent), power)) for power in range(int(exponent) + 1)])
        else:
            parts.append([((base, exponent), 1)])
    return tuple(
        (frozenset((base, power) for (base, power), _ in choice if power), prod(times for _, times in choice))
        for choice in product(*parts)
    )
