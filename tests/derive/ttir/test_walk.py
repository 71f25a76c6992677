"""What the walk refuses, bounds and reports: unknown operations, loaded bounds, arguments, lines, on-chip bytes."""

import inspect
from typing import Any

import pytest
import sympy as sp
from derive.ttir import kernels
from derive.ttir.subjects import POINTER, SUBJECTS, size

from tfcost.derive.errors import DerivationError, UnknownOperation
from tfcost.derive.offline import ttir_text
from tfcost.derive.ttir.arguments import Descriptor
from tfcost.derive.ttir.errors import KernelError
from tfcost.derive.ttir.kernel_cost import KernelCost
from tfcost.derive.ttir.rules import ARITHMETIC, FREE, cost_rule
from tfcost.derive.ttir.values import value_rule
from tfcost.derive.ttir.walk import walk_kernel

n, m, p = (size(name) for name in "nmp")


def line_of(kernel: Any, code: str) -> int:
    source, first = inspect.getsourcelines(kernel.fn)
    return first + next(number for number, text in enumerate(source) if code in text)


def derive(kernel: Any, types: dict[str, str], constexprs: dict[str, Any], arguments: Any, grid: Any) -> KernelCost:
    signature = {**types, **dict.fromkeys(constexprs, "constexpr")}
    return walk_kernel(ttir_text(kernel, signature, constexprs), arguments, grid)


def derive_subject(name: str, **changes: Any) -> KernelCost:
    subject = SUBJECTS[name]
    arguments = changes.get("arguments", subject.arguments)
    return derive(subject.kernel, subject.types, subject.constexprs, arguments, subject.grid)


@pytest.mark.parametrize(
    ("kernel", "types", "constexprs", "operation", "code"),
    [
        (kernels.assembly, {"X": "*i32"}, {"B": 16}, "tt.elementwise_inline_asm", "inline_asm"),
        (kernels.scaled_dot, {"X": "*u8", "S": "*u8", "Y": "*fp32"}, {}, "tt.dot_scaled", "dot_scaled"),
    ],
)
def test_an_operation_without_a_rule_is_an_error(
    kernel: Any, types: dict[str, str], constexprs: dict[str, Any], operation: str, code: str
) -> None:
    with pytest.raises(UnknownOperation) as error:
        derive(kernel, types, constexprs, dict.fromkeys(types, POINTER), (1, 1, 1))
    assert operation in str(error.value)
    assert f"kernels.py:{line_of(kernel, code)}" in str(error.value)
    assert "TTIR line" in str(error.value)


def test_rules_are_one_per_operation() -> None:
    assert not FREE & set(ARITHMETIC)
    for name in ("tt.load", "arith.addf", "arith.addi"):
        with pytest.raises(ValueError, match="two"):
            cost_rule(name)(lambda operation, evaluator: None)
    with pytest.raises(ValueError, match="two"):
        value_rule("arith.select")(lambda operation, operands: None)


def test_a_while_loop_on_data_is_refused() -> None:
    with pytest.raises(KernelError, match=f"kernels.py:{line_of(kernels.while_loaded, 'while tl')}.*while loop"):
        derive(kernels.while_loaded, {"X": "*i32"}, {}, {"X": POINTER}, (1, 1, 1))


def _until_loaded(bound: bool) -> KernelCost:
    types = {"X": "*fp32", "LENGTHS": "*i32", "MOST": "i32"}
    arguments = {"X": POINTER, "LENGTHS": POINTER, "MOST": m}
    return derive(kernels.until_loaded, types, {"B": 16, "BOUND": bound}, arguments, (p, 1, 1))


def test_a_loop_over_loaded_data_is_refused_without_a_bound() -> None:
    with pytest.raises(KernelError, match=f"kernels.py:{line_of(kernels.until_loaded, 'for start')}.*tt.load"):
        _until_loaded(bound=False)


def test_a_loop_over_loaded_data_is_bounded_by_a_minimum() -> None:
    cost = _until_loaded(bound=True)
    assert cost.totals["store"] == 64 * p * sp.ceiling(m / 16)
    (store,) = (event for event in cost.events if event.kind == "store")
    assert store.bounded
    assert f"kernels.py:{line_of(kernels.until_loaded, 'length = tl.load')}" in store.note
    assert not any(event.bounded for event in cost.events if event.kind == "load")


def test_branches_on_data_count_the_larger_side_and_say_so() -> None:
    cost = derive_subject("skip by data")
    stores = [event for event in cost.events if event.kind == "store"]
    assert [event.bounded for event in stores] == [True, True]
    assert [event.amount for event in stores] == [4 * n, 4 * n]
    assert f"kernels.py:{line_of(kernels.skip_by_data, 'if tl.max')}" in stores[0].note
    assert len(cost.notes) == 2  # one per line
    assert cost.totals["load"] == 4 * n


@pytest.mark.parametrize(("flag", "stored"), [(1, 4 * n), (0, 4 * sp.ceiling(n / 16))])
def test_of_a_decided_branch_only_the_taken_side_counts(flag: int, stored: sp.Expr) -> None:
    types, arguments = {"X": "*fp32", "FLAG": "i1", "N": "i32"}, {"X": POINTER, "FLAG": flag, "N": n}
    cost = derive(kernels.flagged, types, {"B": 16}, arguments, (sp.ceiling(n / 16), 1, 1))
    assert cost.totals["store"] == stored
    assert len([event for event in cost.events if event.kind == "store"]) == 1
    assert not cost.notes


def test_of_an_unknown_branch_the_larger_side_counts() -> None:
    types, arguments = {"X": "*fp32", "FLAG": "i1", "N": "i32"}, {"X": POINTER, "FLAG": None, "N": n}
    cost = derive(kernels.flagged, types, {"B": 16}, arguments, (sp.ceiling(n / 16), 1, 1))
    (store,) = (event for event in cost.events if event.kind == "store")
    assert store.amount == 4 * n
    assert "the argument 'FLAG'" in store.note


def test_events_name_their_line_and_tensor() -> None:
    cost = derive_subject("matmul")
    loads = {event.tensor_argument: event for event in cost.events if event.kind == "load"}
    assert set(loads) == {"A", "B"}
    assert loads["A"].line == line_of(kernels.matmul_tile, "a = tl.load")
    assert loads["A"].path == kernels.__file__
    assert loads["A"].amount == 2 * size("k") * m * sp.ceiling(n / 32)
    assert sum(event.amount for event in cost.events if event.kind == "load").expand() == cost.totals["load"].expand()


def test_persistent_programs_count_as_their_tiles() -> None:
    assert derive_subject("grouped matmul").totals == derive_subject("matmul").totals


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"X": POINTER, "Y": POINTER}, "1 are missing"),
        ({"X": POINTER, "Y": POINTER, "N": n, "M": m}, "takes fewer"),
        ({"X": n, "Y": POINTER, "N": n}, "'X' does not fit"),
        ({"X": POINTER, "Y": POINTER, "N": POINTER}, "'N' does not fit"),
        ({"X": POINTER, "Y": POINTER, "N": sp.Symbol("x")}, "not declared an integer"),
        ({"X": Descriptor((n,)), "Y": POINTER}, "not a descriptor"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(DerivationError, match=reason):
        derive_subject("skip by data", arguments=arguments)


def test_an_unknown_number_matters_only_where_it_is_counted() -> None:
    subject = SUBJECTS["matmul"]
    with pytest.raises(KernelError, match="the loop's bounds depend on the argument 'K'"):
        derive_subject("matmul", arguments={**subject.arguments, "K": None})
    cost = derive_subject("attention full")
    assert not cost.notes  # its scale is an unknown number


def test_on_chip_bytes_of_attention() -> None:
    """The fullest point is the load of V: Q, V, the probabilities, the accumulator, and maximum, sum and shrinkage."""
    D, BM, BN = 16, 128, 64
    q, v, p, acc, row = 2 * BM * D, 2 * BN * D, 4 * BM * BN, 4 * BM * D, 4 * BM
    assert derive_subject("attention full").sram_bytes == q + v + p + acc + 3 * row


def test_on_chip_bytes_of_matmul() -> None:
    BM, BN, BK = 64, 32, 32
    assert derive_subject("matmul").sram_bytes == 2 * BM * BK + 2 * BK * BN + 4 * BM * BN


def test_long_chains_of_operations() -> None:
    cost = derive(kernels.unrolled, {"X": "*fp32", "N": "i32"}, {"TIMES": 1200}, {"X": POINTER, "N": n}, (1, 1, 1))
    assert cost.totals["store"] == 4 * 4


def test_reductions_count_one_per_element_and_argmax_too() -> None:
    cost = derive_subject("skip by data")
    reductions = [event for event in cost.events if event.operation == "tt.reduce"]
    assert [event.amount for event in reductions] == [16 * sp.ceiling(n / 16)]
