"""Contracts against costs made by hand: kept, broken, broken at some sizes only, not decided."""

import pytest
from check.costs import held, make_cost, operation

from tfcost.check.contract import parse_contract
from tfcost.check.finding import Finding
from tfcost.check.judge import judge
from tfcost.check.sight import Sight
from tfcost.cost import Cost, Moment
from tfcost.errors import UserError
from tfcost.formula import Formula

HEADS = make_cost(
    {"matmul_flops": "4*b*h*n**2*d_h", "scalar_flops": "5*b*h*n**2", "peak_bytes": "8*b*h*n*d_h + 2*b*h*n**2"}
)
WIDTH = make_cost({"matmul_flops": "256*b*h*n**2", "peak_bytes": "512*b*h*n"}, fixed={"d_h": 64})
TILED = make_cost({"matmul_flops": "2097152*b*ceiling(n/64)*ceiling(n/128)", "sram_bytes": "91136"})
WINDOW = make_cost({"matmul_flops": "4*b*n*Min(n, w + 1)"})


def _judged(cost: Cost, line: str, **how: object) -> list[Finding]:
    return list(judge("attention", [parse_contract(line)], [Sight(cost, how.pop("sizes", {}), **how)]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cost", "line"),
    [
        (HEADS, "time: n**2*d"),
        (HEADS, "time: n**3*d"),
        (HEADS, "memory: h*n**2 + n*d"),
        (HEADS, "memory: n**2*d"),
        (HEADS, "matmul_flops <= 4*b*n**2*d"),
        (HEADS, "matmul_flops <= 4*b*h*n**2*d_h"),
        (HEADS, "peak_bytes <= 1 GiB at n=1k, h=12, d_h=64, b=1"),
        (WIDTH, "time: n**2*d"),
        (WIDTH, "memory: n*d"),
        (WIDTH, "matmul_flops <= 4*b*n**2*d"),
        (TILED, "matmul_flops: n**2"),
        (TILED, "matmul_flops <= 256*b*n**2 where 128 divides n"),
        (TILED, "matmul_flops <= 256*b*(n + 127)**2"),
        (TILED, "sram_bytes <= 100 kB"),
        (WINDOW, "matmul_flops <= 4*b*n**2"),
        (WINDOW, "matmul_flops <= 4*b*n*(w + 1)"),
    ],
)
def test_kept(cost: Cost, line: str) -> None:
    assert _judged(cost, line) == []


@pytest.mark.parametrize(
    ("cost", "line", "message"),
    [
        (HEADS, "time: n*d**2", "attention/time is Θ(n²·d), more than the Θ(n·d²) of its contract"),
        (HEADS, "memory: n*d", "attention/memory is Θ(h·n² + n·d), more than the Θ(n·d) of its contract"),
        (WIDTH, "time: n*d", "attention/time is Θ(n²·d), more than the Θ(n·d) of its contract"),
        (HEADS, "matmul_flops <= 3*b*n**2*d",
         "attention/matmul_flops is 4·b·h·n²·d_h, more than 3·b·n²·d: 4 > 3 at b=1, d_h=1, h=1, n=1"),
        (TILED, "matmul_flops <= 256*b*n**2",
         "attention/matmul_flops is 256·b·n², more than 256·b·n²: 2,097,152 > 256 at b=1, n=1"),
        (TILED, "matmul_flops <= 256*b*n**2 where 64 divides n",
         "attention/matmul_flops is 256·b·n², more than 256·b·n²: 2,097,152 > 1,048,576 at b=1, n=64"),
        (HEADS, "peak_bytes <= 1 MiB at n=1k, h=12, d_h=64, b=1",
         "attention/peak_bytes is 31,457,280 B at b=1, d_h=64, h=12, n=1024, more than 1 MiB"),
        (TILED, "sram_bytes <= 90 kB", "attention/sram_bytes is 91,136 B, more than 90 kB"),
        (WINDOW, "matmul_flops <= 4*b*n*w", "attention/matmul_flops is 4·b·n·min(n, w + 1), more than 4·b·n·w: "),
    ],
)  # fmt: skip
def test_broken(cost: Cost, line: str, message: str) -> None:
    (finding,) = _judged(cost, line)
    assert finding.level == "error"
    assert finding.message.startswith(message)


def test_a_regime_decides() -> None:
    cost = make_cost({"matmul_flops": "4*b*n**2*d + 8*b*n*d**2"})
    assert len(_judged(cost, "time: n**2*d")) == 1
    assert _judged(cost, "time: n**2*d", regime_lines=("n >= d",)) == []
    assert _judged(cost, "matmul_flops <= 12*b*n**2*d", regime_lines=("n >= d",)) == []
    assert len(_judged(cost, "matmul_flops <= 12*b*n**2*d")) == 1


def test_sizes_of_the_target_serve_where_the_contract_gives_none() -> None:
    line = "peak_bytes <= 1 MiB at n=1k"
    assert len(_judged(HEADS, line, sizes={"h": 12, "d_h": 64, "b": 1})) == 1
    with pytest.raises(UserError, match=r"no size is given for b, d_h, h; write at b="):
        _judged(HEADS, line)


def test_the_parts_that_break_it_are_named() -> None:
    scores = held("scores", "aten.bmm", 5, "2*b*h*n**2")
    given = held("arguments", "q", 0, "8*b*h*n*d_h")
    cost = make_cost({"peak_bytes": "8*b*h*n*d_h + 2*b*h*n**2"}, moments=(Moment(Formula("n"), (given, scores)),))
    (finding,) = _judged(cost, "memory: n*d")
    assert [(cause.step, cause.location) for cause in finding.causes] == [("scores", "mine.py:5")]
    product = operation("products", "aten.bmm", 3, matmul_flops="4*b*h*n**2*d_h")
    (finding,) = _judged(make_cost({"matmul_flops": "4*b*h*n**2*d_h"}, (product,)), "matmul_flops <= b*n")
    assert finding.causes[0].location == "mine.py:3"


def test_a_bound_that_is_not_shown_is_a_warning() -> None:
    cost = make_cost({"matmul_flops": "b*Mod(n, 7)*Mod(n + 1, 7)"})
    (finding,) = _judged(cost, "matmul_flops <= 30*b")
    assert (finding.level, "not shown" in finding.message) == ("warning", True)


def test_contracts_about_a_pass() -> None:
    sights = [
        Sight(make_cost({"peak_bytes": text}, pass_=name), {})
        for name, text in (("forward", "n"), ("backward", "n**2"))
    ]

    def judged(line: str) -> list[str]:
        return [finding.message for finding in judge("attention", [parse_contract(line)], sights)]

    assert judged("forward memory: n") == []
    assert judged("memory: n") == ["attention/backward/memory is Θ(n²), more than the Θ(n) of its contract"]
    with pytest.raises(UserError, match="attention has no decode peak_bytes in the passes forward, backward"):
        judged("decode peak_bytes <= n")


def test_unknown_symbols_have_a_caret() -> None:
    with pytest.raises(UserError, match=r"unknown symbol 'k'(.|\n)*\^$"):
        _judged(HEADS, "time: n*k")
