"""Costs of functions of the user's, torch code and launchers of Triton kernels: counted by hand or by torch's own
counter; and what is said of functions that have no cost."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tfcost.cost import Cost
from tfcost.derive.command import derive_function
from tfcost.derive.target import load_function
from tfcost.errors import UserError

Write = Callable[[str], Path]

ATTEND = """\
import torch

def attend(q, k, v, causal=False, scale=1.0):
    scores = q @ k.transpose(-2, -1) * scale
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), float("-inf"))
    return torch.softmax(scores, -1) @ v
"""
KERNEL = """\
import torch
import triton
import triton.language as tl

@triton.jit
def add_kernel(X, Y, OUT, n, BLOCK: tl.constexpr):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < n
    total = tl.load(X + place, mask=inside) + tl.load(Y + place, mask=inside)
    tl.store(OUT + place, total, mask=inside)

def add(x, y):
    out = torch.empty_like(x)
    add_kernel[(triton.cdiv(x.numel(), 128),)](x, y, out, x.numel(), BLOCK=128)
    return out

def add_all_at_once(x, y):
    out = torch.empty_like(x)
    add_kernel[(1,)](x, y, out, x.numel(), BLOCK=x.numel())
    return out

def add_wrongly(x, y):
    out = torch.empty_like(x)
    add_kernel[(1,)](x, y, out, "many", BLOCK=128)
    return out

def add_too_little(x, y):
    add_kernel[(1,)](x, y)
    return x
"""
LOOP = """\
import torch

def scan(x, w):
    h = torch.zeros_like(x[0])
    for t in range(x.shape[0]):
        h = torch.tanh(x[t] + h @ w)
    return h
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("mine", "beside_mine", "user_torch"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def write_file(text: str) -> Path:
        path = tmp_path / "mine.py"
        path.write_text(text)
        return path

    return write_file


def derive(function: str, dims: str, shapes: list[str], *args: str, dtype: str = "float32",
           passes: tuple[str, ...] = ("forward",)) -> list[Cost]:  # fmt: skip
    return derive_function(f"mine.py:{function}", dims.split(), shapes, args, dtype, passes)


def value(cost: Cost, quantity: str, **sizes: int) -> int:
    found = cost.quantities[quantity].exact.evaluate(sizes)
    assert found == int(found)
    return int(found)


def refused(function: str, dims: str, shapes: list[str], *args: str, **how: Any) -> str:
    with pytest.raises(UserError) as caught:
        derive(function, dims, shapes, *args, **how)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_forward_and_backward_of_attention_count_as_torch_does(write: Write) -> None:
    path = write(ATTEND)
    shapes = ["q=b,n,d", "k=b,m,d", "v=b,m,d"]
    forward, backward = derive("attend", "b n m d", shapes, passes=("forward", "backward"))
    assert (forward.pass_, backward.pass_) == ("forward", "backward")
    assert forward.symbols == ("b", "d", "m", "n")
    function = load_function(str(path) + ":attend")
    for b, n, m, d in ((1, 3, 5, 2), (2, 9, 4, 7), (3, 16, 16, 8)):
        q, k, v = (torch.randn(b, rows, d, requires_grad=True) for rows in (n, m, m))
        with FlopCounterMode(display=False) as counter:
            out = function(q, k, v)
        sizes = {"b": b, "n": n, "m": m, "d": d}
        assert value(forward, "matmul_flops", **sizes) == counter.get_total_flops()
        with FlopCounterMode(display=False) as counter:
            out.sum().backward()
        assert value(backward, "matmul_flops", **sizes) == counter.get_total_flops()


def test_operations_carry_the_users_lines(write: Write) -> None:
    write(ATTEND)
    (cost,) = derive("attend", "b n d", ["q=b,n,d", "k=b,n,d", "v=b,n,d"])
    lines = {(operation.name, operation.location, operation.code) for operation in cost.operations}
    assert ("aten.bmm", "mine.py:4", "scores = q @ k.transpose(-2, -1) * scale") in lines
    assert ("aten._softmax", "mine.py:7", "return torch.softmax(scores, -1) @ v") in lines


def test_arguments_and_fixed_sizes_reach_the_function(write: Write) -> None:
    write(ATTEND)
    shapes = ["q=b,n,d", "k=b,n,d", "v=b,n,d"]
    (plain,) = derive("attend", "b n d=8", shapes)
    (causal,) = derive("attend", "b n d=8", shapes, "causal=true", "scale=0.5")
    assert plain.symbols == ("b", "n")
    # Two products of b·n·n·8 multiply-adds; the mask: n² booleans by the fill and by triu, read with the scores.
    assert value(plain, "matmul_flops", b=2, n=5) == 2 * 2 * (2 * 5 * 5 * 8)
    names = [operation.name for operation in causal.operations]
    assert "aten.triu" in names
    assert "aten.masked_fill" in names
    assert "aten.triu" not in [operation.name for operation in plain.operations]


def test_a_width_that_is_given_counts_bytes(write: Write) -> None:
    write("def double(x):\n    return x + x\n")
    for dtype, width in (("bfloat16", 2), ("float16", 2), ("float32", 4)):
        (cost,) = derive("double", "n", ["x=n,3"], dtype=dtype)
        assert cost.dtypes == (dtype,)
        # x is read once, though it is both operands; the sum is written.
        assert value(cost, "issued_bytes", n=10) == 2 * 30 * width
        assert value(cost, "scalar_flops", n=10) == 30
        assert value(cost, "peak_bytes", n=10) == 2 * 30 * width


def test_roles_of_tensors(write: Write) -> None:
    write("import torch.nn.functional as F\n\ndef embed(tokens, table):\n    return F.embedding(tokens, table)\n")
    (cost,) = derive("embed", "n V d", ["tokens=n:index", "table=V,d:parameter"])
    # n rows of d floats and n 8-byte indices are read, n rows written.
    assert value(cost, "issued_bytes", n=3, V=100, d=5) == 3 * 5 * 4 + 3 * 8 + 3 * 5 * 4
    assert value(cost, "parameters", n=3, V=100, d=5) == 500
    assert value(cost, "parameter_bytes", n=3, V=100, d=5) == 2000


def test_shapes_may_be_products_and_sums_of_sizes(write: Write) -> None:
    write("def same(x):\n    return x + 1\n")
    (cost,) = derive("same", "n d", ["x=2*n,d**2 + 1,n + d"])
    assert value(cost, "scalar_flops", n=3, d=4) == 6 * 17 * 7


def test_a_launcher_of_a_triton_kernel(write: Write) -> None:
    write(KERNEL)
    (cost,) = derive("add", "n d", ["x=n,d", "y=n,d"])
    for n, d in ((1, 1), (3, 50), (16, 8), (100, 129)):
        # Two elements read and one written for each; masked-off lanes compute but touch nothing.
        assert value(cost, "issued_bytes", n=n, d=d) == 3 * 4 * n * d
        assert value(cost, "unique_bytes", n=n, d=d) == 3 * 4 * n * d
        assert value(cost, "peak_bytes", n=n, d=d) == 3 * 4 * n * d
        programs = -(-n * d // 128)
        assert value(cost, "scalar_flops", n=n, d=d) == 128 * programs
    assert cost.quantities["issued_bytes"].provenance == "ttir"
    assert {operation.location for operation in cost.operations} == {"mine.py:9", "mine.py:10"}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("add_all_at_once", "mine.py:19: add_kernel: 'BLOCK' is a constexpr and depends on a size (d*n)"),
        ("add_wrongly", "mine.py:24: add_kernel: 'n' is str, which no rule covers"),
        ("add_too_little", "mine.py:28: add_kernel is launched without 'OUT'"),
    ],
)
def test_a_launch_that_no_formula_describes(write: Write, function: str, expected: str) -> None:
    write(KERNEL)
    assert refused(function, "n d", ["x=n,d", "y=n,d"]).startswith(expected)


def test_a_loop_over_a_size_is_interpolated_and_says_so(write: Write) -> None:
    write(LOOP)
    shapes = ["x=n,d", "w=d,d:parameter"]
    forward, backward = derive("scan", "n d", shapes, passes=("forward", "backward"))
    assert forward.assumptions == ("n >= 2: n by exact interpolation of traces at 2 to 7, checked at 17",)
    assert {forward.quantities[name].provenance for name in ("matmul_flops", "issued_bytes")} == {"interpolated"}
    for n, d in ((2, 3), (5, 8), (40, 2)):
        # One vector-matrix product, d additions and d tanh per step.
        assert value(forward, "matmul_flops", n=n, d=d) == n * 2 * d * d
        assert value(forward, "scalar_flops", n=n, d=d) == n * 2 * d
    function = load_function("mine.py:scan")
    for n, d in ((2, 3), (11, 4)):
        x, w = torch.randn(n, d, requires_grad=True), torch.randn(d, d, requires_grad=True)
        out = function(x, w)
        with FlopCounterMode(display=False) as counter:
            out.sum().backward()
        assert value(backward, "matmul_flops", n=n, d=d) == counter.get_total_flops()
    # What the samples lead to is what a trace with as many steps says.
    fixed = derive("scan", "n=23 d", shapes, passes=("forward", "backward"))
    for whole, other in zip((forward, backward), fixed, strict=True):
        assert whole.quantities.keys() == other.quantities.keys()
        for name in whole.quantities:
            for d in (1, 2, 30):
                assert value(whole, name, n=23, d=d) == value(other, name, d=d), name


def test_two_loops(write: Write) -> None:
    write(
        "def grid(x, r, c):\n"
        "    for i in range(r):\n"
        "        for j in range(c):\n"
        "            x = x + i * j\n"
        "    return x\n"
    )
    (cost,) = derive("grid", "r c d", ["x=d"], "r=r", "c=c")
    assert value(cost, "scalar_flops", r=31, c=9, d=7) == 31 * 9 * 7
    assert len(cost.assumptions) == 2


SIZES = """\
import torch

def branches(x):
    if x.shape[0] != 1024:
        return x + x
    return x

def reads(x):
    return x * x.sum().item()

def asks(x):
    return x if x.sum() > 0 else -x

def picks(x):
    return x[x > 0]

def three(x, y):
    for _ in range(x.shape[0]):
        for _ in range(x.shape[1]):
            for _ in range(y.shape[0]):
                x = x + 1
    return x

def doubling(x):
    for _ in range(2 ** min(int(x.shape[0]), 8)):
        x = x + 1
    return x

def remainder(x):
    for _ in range(x.shape[0] % 3):
        x = x + 1
    return x

def small(x):
    for _ in range(x.shape[0]):
        x = x + 1
        if x.shape[0] > 12:
            x = x + 1
    return x

def folds(x):
    return x.view(16, -1)

def mixes(x, y):
    return x + y

def unknown(x):
    y = x + 1
    return torch.fft.fft(y)

def fails(x):
    y = x + 1
    return y + missing

def leaves(x):
    raise SystemExit(0)

def nothing(x):
    x + 1

def cut(x):
    return x.argmax()

WEIGHT = torch.ones(3, 3)

def hidden(x):
    return x @ WEIGHT
"""


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        ("reads", "x=n,d", "mine.py:9: aten._local_scalar_dense reads a value that only real data has"),
        ("asks", "x=n,d", "mine.py:12: aten._local_scalar_dense reads a value that only real data has"),
        ("picks", "x=n,d", "mine.py:15: aten.index gives a tensor whose size only real data decides"),
        ("three", "x=n,d y=m", "size d, m, n did not stay symbolic: mine.py:18 needs n as a number; mine.py:19 needs d "
         "as a number; mine.py:20 needs m as a number; give all but 2 a value: --dim d=N"),
        ("doubling", "x=n,d", "the cost is no polynomial of degree 3 in n, as traces at n = 2 to 7 show; give it a "
         "value: --dim n=N (size n did not stay symbolic: mine.py:25 needs n as a number)"),
        ("small", "x=n,d", "the cost at n = 17 is not what traces at smaller sizes lead to (size n did not stay "
         "symbolic: mine.py:35 needs n as a number)"),
        ("folds", "x=n,d", "mine.py:42: RuntimeError: shape '[16, -1]' is invalid for input of size d*n"),
        ("mixes", "x=n,d y=d,n", "mine.py:45: RuntimeError: The size of tensor a (d) must match the size of tensor b"),
        ("unknown", "x=n,d", "mine.py:49: no rule for the operation aten._fft_r2c.default; its cost is unknown"),
        ("fails", "x=n,d", "mine.py:53: NameError: name 'missing' is not defined"),
        ("leaves", "x=n,d", "mine.py:56: SystemExit: 0"),
        ("nothing", "x=n,d", "the function returned no tensor; a cost is that of computing a result"),
        ("hidden", "x=n,3", "mine.py:67: aten.mm uses a tensor of shape [3, 3] that is no argument of the function"),
    ],
)  # fmt: skip
def test_what_has_no_cost_is_refused_with_its_line(write: Write, function: str, shapes: str, expected: str) -> None:
    write(SIZES)
    assert refused(function, "n d m", shapes.split()).startswith(expected)


def test_a_number_of_steps_that_depends_on_a_remainder(write: Write) -> None:
    write(SIZES)
    message = refused("remainder", "n d", ["x=n,d"])
    assert "mine.py:30 needs Mod(n, 3) as a number" in message
    assert "give it a value: --dim n=N" in message


def test_a_comparison_of_a_size_is_an_assumption(write: Write) -> None:
    write(SIZES)
    (cost,) = derive("branches", "n d", ["x=n,d"])
    assert cost.assumptions == ("n != 1024, by which mine.py:4 decides",)
    (cost,) = derive("branches", "n=1024 d", ["x=n,d"])
    assert cost.assumptions == ()
    assert value(cost, "scalar_flops", d=5) == 0


def test_no_backward_without_a_gradient(write: Write) -> None:
    write(SIZES)
    message = refused("cut", "n d", ["x=n,d"], passes=("backward",))
    assert message == "the function returned no tensor that has a gradient: there is no backward pass"
