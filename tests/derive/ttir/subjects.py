"""The kernels the tests walk: how each is compiled, with which symbolic arguments and grid, and at which sizes it runs.

A `Subject` ties a kernel to its launcher: `case(...)` gives the launcher's arguments and the values of the symbols.
"""

from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from derive.ttir import attention_kernels, kernels

from tfcost.derive.ttir.arguments import Argument, Descriptor, Pointer

POINTER = Pointer()


def size(name: str) -> sp.Symbol:
    return sp.Symbol(name, integer=True, positive=True)


n, m, k, w, b, h, r, p, f = (size(name) for name in ["n", "m", "k", "w", "b", "h", "r", "p", "f"])


@dataclass(frozen=True)
class Subject:
    """`cases` are launcher arguments; `symbols` maps a symbol's name to the launcher argument that is its value."""

    launcher: str
    kernel: Any
    types: dict[str, str]
    constexprs: dict[str, Any]
    arguments: dict[str, Argument]
    grid: tuple[Any, Any, Any]
    cases: list[dict[str, Any]]
    path: str = kernels.__file__
    bounded: frozenset[str] = field(default=frozenset())

    @property
    def signature(self) -> dict[str, str]:
        return {**self.types, **dict.fromkeys(self.constexprs, "constexpr")}


def _pointers(names: str) -> dict[str, Argument]:
    return dict.fromkeys(names.split(), POINTER)


def _types(pointers: str, integers: str, element: str = "*fp32", floats: str = "") -> dict[str, str]:
    return {
        **dict.fromkeys(pointers.split(), element),
        **dict.fromkeys(integers.split(), "i32"),
        **dict.fromkeys(floats.split(), "fp32"),
    }


def _grid(**values: list[int]) -> list[dict[str, int]]:
    """Cases that take the i-th entry of every list; shorter lists start again."""
    longest = max(len(entries) for entries in values.values())
    return [{name: entries[i % len(entries)] for name, entries in values.items()} for i in range(longest)]


LENGTHS = [1, 2, 3, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 80, 96, 100, 127, 128, 129]
SHORT = [*range(1, 20), 31, 33, 48, 49]
LENGTHS_OF_ATTENTION = [*LENGTHS, 513]
OTHERS = [64, 200, 1, 65, 16, 129, 33, 128, 63, 17, 100]
_WINDOWS = _grid(n=LENGTHS_OF_ATTENTION, w=[1, 16, 63, 64, 200, 31, 1000])
_STRIDES = "stride_b stride_h stride_n stride_kb stride_kh stride_km"


def attention_subject(causal: bool, BM: int, BN: int, same: bool, cases: list[dict[str, Any]]) -> Subject:
    keys = n if same else m
    fixed = {"b": 1, "h": 2, "group": 2, "causal": causal, "BM": BM, "BN": BN}
    return Subject(
        launcher="launch_attention",
        kernel=attention_kernels.attention,
        types={
            **_types("Q K V OUT", "", "*fp16"), "L": "*fp32",
            **_types("", f"{_STRIDES} H GROUP N M", floats="scale"),
        },
        constexprs={"D": 16, "BM": BM, "BN": BN, "CAUSAL": causal},
        arguments={
            **_pointers("Q K V OUT L"), **{name: size(name) for name in _STRIDES.split()},
            "H": h, "GROUP": r, "N": n, "M": keys, "scale": None,
        },
        grid=(sp.ceiling(n / BM), b * h, 1),
        cases=[{**fixed, **case} for case in cases],
        path=attention_kernels.__file__,
    )  # fmt: skip


def window_subject(BM: int, BN: int) -> Subject:
    return Subject(
        launcher="launch_window",
        kernel=attention_kernels.window,
        types={**_types("Q K V OUT", "", "*fp16"), **_types("", "stride_h stride_n N W", floats="scale")},
        constexprs={"D": 16, "BM": BM, "BN": BN},
        arguments={**_pointers("Q K V OUT"), "stride_h": size("stride_h"), "stride_n": size("stride_n"), "N": n, "W": w,
                   "scale": None},
        grid=(sp.ceiling(n / BM), h, 1),
        cases=[{"h": 1, "BM": BM, "BN": BN, **case} for case in _WINDOWS],
        path=attention_kernels.__file__,
    )  # fmt: skip


def _matmul(launcher: str, kernel: Any, grid: sp.Expr, extra: dict[str, int], cases: list[dict[str, int]]) -> Subject:
    return Subject(
        launcher=launcher,
        kernel=kernel,
        types={**_types("A B", "", "*fp16"), "C": "*fp32", **_types("", "M N K")},
        constexprs={"BM": 64, "BN": 32, "BK": 32, **extra},
        arguments={**_pointers("A B C"), "M": m, "N": n, "K": k},
        grid=(grid, 1, 1),
        cases=cases,
    )


_MATRICES = _grid(m=[*LENGTHS, 200], n=[33, 1, 64, 31, 32, 65, 97], k=[32, 65, 1])
_TILES = sp.ceiling(m / 64) * sp.ceiling(n / 32)

SUBJECTS: dict[str, Subject] = {
    "attention full": attention_subject(False, 128, 64, False, _grid(n=LENGTHS_OF_ATTENTION, m=OTHERS)),
    "attention causal": attention_subject(
        True, 128, 64, True, [{"n": length, "m": length} for length in LENGTHS_OF_ATTENTION]
    ),
    "attention causal, m and n": attention_subject(True, 64, 128, False, _grid(n=LENGTHS_OF_ATTENTION, m=OTHERS)),
    "window": window_subject(128, 64),
    "window, wide keys": window_subject(64, 128),
    "matmul": _matmul("launch_matmul", kernels.matmul, _TILES, {}, _MATRICES),
    "grouped matmul": _matmul(
        "launch_grouped_matmul", kernels.grouped_matmul, sp.Min(p, _TILES), {"GROUP": 3},
        [{**case, "programs": 1 + index % 7} for index, case in enumerate(_MATRICES)],
    ),
    "strided copy": Subject(
        "launch_strided_copy", kernels.strided_copy, _types("X Y", "M N"), {"PROGRAMS": 5, "BM": 16, "BN": 32},
        {**_pointers("X Y"), "M": m, "N": n}, (5, 1, 1), _grid(m=LENGTHS, n=[1, 31, 32, 33, 100]),
    ),
    "branches": Subject(
        "launch_branches", kernels.branches, _types("X Y", "N FIRST"), {"B": 16},
        {**_pointers("X Y"), "N": n, "FIRST": f}, (p, 1, 1),
        _grid(n=LENGTHS, first=[1, 2, 3, 9], programs=[1, 2, 3, 7, 20]),
    ),
    "skip by data": Subject(
        "launch_skip_by_data", kernels.skip_by_data, _types("X Y", "N"), {"B": 16},
        {**_pointers("X Y"), "N": n}, (sp.ceiling(n / 16), 1, 1), _grid(n=LENGTHS), bounded=frozenset({"store"}),
    ),
    "scatter add": Subject(
        "launch_scatter_add", kernels.scatter_add,
        {**_types("X OUT", ""), "COUNT": "*i32", **_types("", "N K")}, {"B": 32, "D": 16},
        {**_pointers("X OUT COUNT"), "N": n, "K": k}, (sp.ceiling(n / 32), sp.ceiling(k / 16), 1),
        _grid(n=LENGTHS, k=[1, 15, 16, 17, 50]),
    ),
    "copy by descriptor": Subject(
        "launch_copy_by_descriptor", kernels.copy_by_descriptor, _types("X Y", "M N"), {"BM": 16, "BN": 32},
        {**_pointers("X Y"), "M": m, "N": 4 * n}, (sp.ceiling((m + 8) / sp.Integer(16)), 1, 1),
        _grid(m=LENGTHS, n=[4, 16, 60, 64, 100]),
    ),
    "row sums by descriptor": Subject(
        "launch_row_sums_by_descriptor", kernels.row_sums_by_descriptor,
        {"X": "tensordesc<fp16[16,32]>", "OUT": "*fp32", "M": "i32"}, {"BM": 16, "BN": 32},
        {"X": Descriptor((m, 8 * n)), "OUT": POINTER, "M": m}, (sp.ceiling(m / 16), 1, 1),
        _grid(m=LENGTHS, n=[8, 64, 72, 200]),
    ),
    "softmax rows": Subject(
        "launch_softmax_rows", kernels.softmax_rows, _types("X Y", "ROWS COLUMNS"), {"B": 32},
        {**_pointers("X Y"), "ROWS": m, "COLUMNS": n}, (p, 1, 1),
        [{"columns": c, "rows": 1 + i % 6, "programs": 1 + i % 4} for i, c in enumerate(LENGTHS)],
    ),
    "ragged": Subject(
        "launch_ragged", kernels.ragged, _types("X Y", "N M"), {"B": 16, "C": 8},
        {**_pointers("X Y"), "N": n, "M": m}, (sp.ceiling(n / 16), sp.ceiling(m / 8), 1),
        _grid(n=LENGTHS, m=[1, 3, 7, 8, 9, 20]),
    ),
    "with call": Subject(
        "launch_with_call", kernels.with_call, _types("X Y", "N"), {"B": 16},
        {**_pointers("X Y"), "N": n}, (sp.ceiling(n / 16), 1, 1), _grid(n=SHORT),
    ),
    "sorted rows": Subject(
        "launch_sorted_rows", kernels.sorted_rows, _types("X Y", "N"), {"B": 16},
        {**_pointers("X Y"), "N": n}, (sp.ceiling(n / 16), 1, 1), _grid(n=SHORT),
    ),
}  # fmt: skip

# Launcher arguments whose names are not the symbols' own, and what the others stand for.
_NAMES = {"group": "r", "programs": "p", "first": "f", "columns": "n", "rows": "m"}


def symbol_values(subject: Subject, case: dict[str, Any]) -> dict[str, int]:
    """The values of the symbols in one case (strides do not matter: no count depends on them)."""
    values = {_NAMES.get(name, name): value for name, value in case.items() if isinstance(value, int)}
    factor = {"copy by descriptor": 4, "row sums by descriptor": 8}
    for name, by in factor.items():
        if subject is SUBJECTS[name]:
            values["n"] //= by
    return values
