"""Steps of costs: that they make up the whole, and which of them are token-wise."""

import pytest

from tfcost.analysis.portions import Portion, amount, is_token_wise, names_of, portion, steps_where
from tfcost.book import load_book
from tfcost.formula import Formula

BOOK = load_book()
SIZES = {"n": 512, "m": 512, "b": 3, "h": 12, "h_kv": 12, "d_h": 64, "d": 768, "f": 3072, "V": 1000, "P": 1024, "S": 2,
         "N": 10**6, "c": 64, "w": 100, "g": 8, "p": 512, "t": 7}  # fmt: skip


@pytest.mark.parametrize("name", ["standard", "flash", "linear", "sliding-window", "kv-cache", "ffn", "transformer"])
def test_steps_make_up_the_whole(name: str) -> None:
    """Every cost of the technique, cut into single steps, and put together again."""
    for cost in BOOK.record(name).costs:
        values = {**SIZES, **cost.fixed}
        parts = [portion(cost, [step], [values]) for step in names_of(cost)]
        for quantity in ("matmul_flops", "scalar_flops", "issued_bytes"):
            if quantity in cost.quantities:
                assert amount(parts, quantity) == cost.quantities[quantity].exact.evaluate(values)
        assert sum(len(one.cost.operations) for one in parts) == len(cost.operations)


def test_calls_and_counts_multiply() -> None:
    cost = BOOK.record("ffn").costs[0]
    one, twice = Portion(cost, (SIZES,)), Portion(cost, (SIZES, SIZES), 3)
    assert amount([twice], "matmul_flops") == 6 * amount([one], "matmul_flops")


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("2*b*n*d**2 + 8*d**2", True),
        ("b*n*d + b*m*d", True),
        ("Max(b*n*d, 2*b*n*f + d**2)", True),
        ("b**2*n**2", True),
        ("b*n**2*d", False),
        ("b*h*d_h**2", False),
        ("n*d", False),
        ("128*b*ceiling(n/128)", False),
        ("ceiling(b*n/128)", True),
    ],
)
def test_token_wise_is_what_depends_on_the_tokens_alone(text: str, holds: bool) -> None:
    assert is_token_wise(Formula(text)) is holds


def test_a_layer_has_its_projections_for_all_tokens_and_its_scores_by_sequence() -> None:
    values = {**SIZES, "h": 2, "h_kv": 2}
    cost = BOOK.find("standard", scope="block", pass_="forward", dtype="bfloat16",
                     variant={"causal": True, "norm": "pre", "bias": True}, values=values)  # fmt: skip
    together = steps_where(cost, is_token_wise)
    assert together == ["norm", "projections", "output projection", "residual"]
    assert set(names_of(cost)) - set(together) == {"scores", "mask", "softmax", "values"}
