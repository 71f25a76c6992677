"""Attention kernels at every length up to 300: the derived formulas against tiles enumerated one by one."""

import pytest
import sympy as sp
from derive.ttir import attention_kernels
from derive.ttir.subjects import Subject, attention_subject, size, window_subject
from oracles.evaluation import evaluate

from tfcost.derive.offline import ttir_text
from tfcost.derive.ttir.arguments import Pointer
from tfcost.derive.ttir.kernel_cost import KernelCost
from tfcost.derive.ttir.walk import walk_kernel

D = 16


def derive(subject: Subject) -> KernelCost:
    text = ttir_text(subject.kernel, subject.signature, subject.constexprs)
    return walk_kernel(text, subject.arguments, subject.grid)


def enumerate_tiles(n: int, m: int, BM: int, BN: int, stop, start=lambda row: 0) -> tuple[int, int]:
    """(FLOPs of both products, bytes of Q, K and V) of one head in fp16."""
    dot = loaded = 0
    for row in range(0, n, BM):
        loaded += 2 * D * min(BM, n - row)
        for key in range(start(row), stop(row), BN):
            dot += 2 * 2 * BM * BN * D
            loaded += 2 * 2 * D * min(BN, m - key)
    return dot, loaded


@pytest.mark.parametrize(("BM", "BN"), [(128, 64), (64, 64), (32, 128), (64, 32)])
def test_causal_at_every_length(BM: int, BN: int) -> None:
    cost = derive(attention_subject(True, BM, BN, True, []))
    for n in range(1, 301):
        dot, loaded = enumerate_tiles(n, n, BM, BN, lambda row, n=n: min(row + BM, n))
        values = {"n": n, "b": 1, "h": 1, "r": 1}
        assert (evaluate(cost.totals["dot"], values), evaluate(cost.totals["load"], values)) == (dot, loaded)


@pytest.mark.parametrize(("BM", "BN"), [(128, 64), (32, 64)])
def test_causal_with_other_key_lengths(BM: int, BN: int) -> None:
    cost = derive(attention_subject(True, BM, BN, False, []))
    for n in (1, 5, 31, 64, 65, 100, 129, 200):
        for m in range(1, 200, 7):
            dot, loaded = enumerate_tiles(n, m, BM, BN, lambda row, n=n, m=m: min(row + BM + m - n, m))
            values = {"n": n, "m": m, "b": 1, "h": 1, "r": 1}
            assert (evaluate(cost.totals["dot"], values), evaluate(cost.totals["load"], values)) == (dot, loaded)


@pytest.mark.parametrize(("BM", "BN"), [(128, 64), (32, 64), (64, 64)])
def test_windows_at_many_lengths(BM: int, BN: int) -> None:
    cost = derive(window_subject(BM, BN))
    for n in range(1, 301, 11):
        for w in (1, 7, 31, 32, 33, 64, 100, 250, 1000):
            dot, loaded = enumerate_tiles(
                n, n, BM, BN, lambda row, n=n: min(row + BM, n), lambda row, w=w: max(row - w, 0) // BN * BN
            )
            values = {"n": n, "w": w, "h": 1}
            assert (evaluate(cost.totals["dot"], values), evaluate(cost.totals["load"], values)) == (dot, loaded)


def test_formulas_are_as_short_as_by_hand() -> None:
    n, m, b, h, w = (size(name) for name in ["n", "m", "b", "h", "w"])
    full = derive(attention_subject(False, 128, 64, False, []))
    assert full.totals["dot"] == 4 * D * 128 * 64 * b * h * sp.ceiling(n / 128) * sp.ceiling(m / 64)
    by_tensor = {event.tensor_argument: event.amount for event in full.events if event.kind == "load"}
    keys = 2 * b * h * m * D * sp.ceiling(n / 128)
    assert by_tensor == {"Q": 2 * b * h * n * D, "K": keys, "V": keys}
    causal = derive(attention_subject(True, 128, 64, True, []))
    rows, keys = sp.ceiling(n / 128), sp.ceiling(n / 64)
    assert sp.expand(causal.totals["dot"] - 4 * D * 128 * 64 * b * h * (rows**2 - rows + keys)) == 0
    window = derive(window_subject(128, 64))
    inside, reach = sp.Min(rows, sp.ceiling(w / 128)), sp.ceiling(w / 64)
    pairs = keys + rows * reach - reach * inside + inside**2 - inside
    assert sp.expand(window.totals["dot"] - 4 * D * 128 * 64 * h * pairs) == 0


def test_numbers_in_place_of_symbols_give_a_number() -> None:
    subject = attention_subject(True, 128, 64, True, [])
    arguments = {name: value if isinstance(value, Pointer) else 7 for name, value in subject.arguments.items()}
    arguments |= {"N": 300, "M": 300, "scale": None}
    text = ttir_text(attention_kernels.attention, subject.signature, subject.constexprs)
    cost = walk_kernel(text, arguments, (3, 2, 1))
    assert cost.totals["dot"] == 2 * enumerate_tiles(300, 300, 128, 64, lambda row: min(row + 128, 300))[0]
