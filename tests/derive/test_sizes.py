"""Named sizes: what torch computes from them comes back as plain sympy with the same values; none becomes a number
unnoticed."""

from collections.abc import Callable
from math import ceil
from typing import Any

import pytest
import sympy as sp
import torch
from oracles.evaluation import evaluate

from tfcost.derive.errors import DerivationError, SpecialisedSize
from tfcost.derive.sizes import ELEMENT, Sizes, size_symbol
from tfcost.formula import Formula

n, d = size_symbol("n"), size_symbol("d")
POINTS = [(1, 1), (1, 7), (2, 3), (5, 64), (63, 2), (64, 64), (65, 10), (1000, 37)]


@pytest.fixture
def sizes() -> Sizes:
    return Sizes(("n", "d"), torch.bfloat16)


@pytest.mark.parametrize(
    "compute",
    [
        lambda n, d: n,
        lambda n, d: 3 * n * d - d,
        lambda n, d: n // 4,
        lambda n, d: (n + 63) // 64,
        lambda n, d: (n * d + 127) // 128 * 128,
        lambda n, d: (n + d) // d,
        lambda n, d: n % 7,
        lambda n, d: (n * d) // d,
        lambda n, d: -(-n // 16),
        lambda n, d: max(n, 1) if isinstance(n, int) else torch.sym_max(n, 1),
        lambda n, d: min(n, d) if isinstance(n, int) else torch.sym_min(n, d),
        lambda n, d: (n // 3) % 5,
        lambda n, d: (n + 1) // 2 + (d + 7) // 8,
        lambda n, d: ceil(n / 10),
        lambda n, d: n**2 + 1,
    ],
)  # fmt: skip
def test_arithmetic_on_sizes_comes_back_with_the_same_values(sizes: Sizes, compute: Callable[[Any, Any], Any]) -> None:
    found = sizes.expr(compute(sizes["n"], sizes["d"]))
    assert found.free_symbols <= {n, d}
    for a, b in POINTS:
        assert evaluate(found, {"n": a, "d": b}) == compute(a, b), (found, a, b)
    sizes.require_symbolic()


def test_numbers_pass_through(sizes: Sizes) -> None:
    assert sizes.expr(7) == 7
    assert sizes.expr(0.5) == sp.Float(0.5)


@pytest.mark.parametrize("text", ["n", "3", "2*n*d", "n + d + 1", "n**3", "(n + 1)*(d - 1)", "n*(n + 1)**2", "n - 1"])
def test_shapes_are_built_from_expressions(sizes: Sizes, text: str) -> None:
    built = sizes.expr(sizes.build(Formula(text).sympy, {}))
    assert sp.expand(built - Formula(text).sympy) == 0
    assert sizes.build(Formula(text).sympy, {"n": 5, "d": 3}) == Formula(text).evaluate({"n": 5, "d": 3})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n/2", "a shape may use + - * and integer powers only, not '"),
        ("ceiling(n/2)", "a shape may use + - *"),
        ("Min(n, d)", "a shape may use + - *"),
        ("k*n", "size 'k' is not declared"),
    ],
)
def test_other_expressions_are_no_shapes(sizes: Sizes, text: str, expected: str) -> None:
    with pytest.raises(DerivationError) as caught:
        sizes.build(Formula(text).sympy, {})
    assert str(caught.value).startswith(expected)


def test_the_runs_dtype_has_a_symbolic_width(sizes: Sizes) -> None:
    with sizes.mode:
        assert sizes.element_bytes(torch.empty(2, dtype=torch.bfloat16)) == ELEMENT
        assert sizes.element_bytes(torch.empty(2, dtype=torch.float16)) == 2
        assert sizes.element_bytes(torch.empty(2, dtype=torch.float64)) == 8
        assert sizes.element_bytes(torch.empty(2, dtype=torch.bool)) == 1


def test_no_size_can_be_called_like_the_width() -> None:
    assert not ELEMENT.name.isidentifier()


def test_views_of_the_same_elements_have_equal_keys(sizes: Sizes) -> None:
    with sizes.mode:
        x = torch.empty(sizes["n"], sizes["d"])
        assert sizes.view_key(x) == sizes.view_key(x.view(sizes["n"], sizes["d"]))
        others = [x.t(), x[1:], x[:-1], x[:, 1:], x.unsqueeze(0), torch.empty(sizes["n"], sizes["d"])]
        assert len({sizes.view_key(tensor) for tensor in (x, *others)}) == 1 + len(others)


@pytest.mark.parametrize(
    ("names", "use", "expected"),
    [
        (("n",), lambda sizes: int(sizes["n"]), "tests/derive/test_sizes.py:"),
        (("n",), lambda sizes: list(range(sizes["n"])), "needs n as a number"),
        (("d",), lambda sizes: [0] * sizes["d"], "needs d as a number"),
        (("d", "n"), lambda sizes: int(sizes["n"] * sizes["d"]), "needs d*n as a number"),
        (("n",), lambda sizes: [None] * (sizes["n"] // 4), "as a number"),
    ],
)
def test_a_size_that_became_a_number_is_named(
    sizes: Sizes, names: tuple[str, ...], use: Callable[[Sizes], Any], expected: str
) -> None:
    use(sizes)
    with pytest.raises(SpecialisedSize) as caught:
        sizes.require_symbolic()
    assert caught.value.names == names
    assert str(caught.value).startswith(f"size {', '.join(names)} did not stay symbolic: ")
    assert expected in str(caught.value)


def test_sizes_that_were_tied_are_named() -> None:
    sizes = Sizes(("n", "d"), torch.float32, hints={"n": 8, "d": 8})
    assert sizes["n"] == sizes["d"]
    with pytest.raises(SpecialisedSize, match=r"size d, n did not stay symbolic") as caught:
        sizes.require_symbolic()
    assert caught.value.names == ("d", "n")


def test_a_comparison_is_a_decision_and_no_specialisation(sizes: Sizes) -> None:
    assert sizes["n"] > 3
    assert sizes["n"] != 64
    sizes.require_symbolic()
    conditions, places = zip(*sizes.decisions(), strict=True)
    assert [str(condition) for condition in conditions] == ["n > 3", "Ne(n, 64)"]
    assert all(place.rpartition(":")[0].endswith("tests/derive/test_sizes.py") for place in places)


def test_conditions_are_placed_where_an_operation_asked(sizes: Sizes) -> None:
    with sizes.mode:
        x = torch.empty(sizes["n"], sizes["d"])
        (x + x.clone()).reshape(-1).view(sizes["d"], sizes["n"])
    sizes.place_conditions("mine.py:3")
    assert sizes.decisions() == []
    with sizes.mode:
        list(x.unbind(0))
    with pytest.raises(SpecialisedSize, match="needs n as a number"):
        sizes.place_conditions("mine.py:4")


def test_messages_of_torch_get_the_sizes_names(sizes: Sizes) -> None:
    internal = {name: str(sizes[name].node.expr) for name in ("n", "d")}
    text = f"shape {internal['n']} and 2*{internal['d']}, not s999999 or {internal['n']}0"
    assert sizes.renamed(text) == f"shape n and 2*d, not s999999 or {internal['n']}0"


def test_a_hint_decides_layouts_only() -> None:
    sizes = Sizes(("n",), torch.float32, hints={"n": 5})
    assert sizes["n"].node.hint == 5
    assert sizes.expr(sizes["n"] + 1) == n + 1
