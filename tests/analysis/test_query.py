"""Questions: sizes follow from each other, options from their texts; what nothing uses is refused."""

import pytest

from tfcost.analysis.query import choose_options, fill_sizes, full_dtype, offered_options
from tfcost.book import load_book
from tfcost.errors import UserError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"h": 12, "d": 768, "d_h": 64}),
        ({"d": 1024, "h": 8}, {"h": 8, "d": 1024, "d_h": 128}),
        ({"d_h": 128}, {"h": 12, "d": 1536, "d_h": 128}),
        ({"h": 4}, {"h": 4, "d": 256, "d_h": 64}),
        ({"d": 1024, "d_h": 128}, {"h": 8, "d": 1024, "d_h": 128}),
        ({"d": 3072, "h": 16, "d_h": 256}, {"h": 16, "d": 3072, "d_h": 256}),
        ({"n": 5}, {"m": 5, "n": 5}),
        ({"n": 5, "m": 7}, {"m": 7, "n": 5}),
        ({"d": 100, "h": 10}, {"f": 400, "h_kv": 10}),
        ({"c": 32}, {"c": 32}),
    ],
)
def test_sizes_follow_from_each_other(given: dict[str, int], expected: dict[str, int]) -> None:
    values = fill_sizes(given, {"c": 64})
    assert {name: values[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"d": 100}, "d = 100 is not divisible by h = 12"),
        ({"d": 100, "d_h": 64}, "d = 100 is not divisible by d_h = 64"),
        ({"h_kv": 5}, "h = 12 is not divisible by h_kv = 5"),
        ({"h": 2, "h_kv": 4}, "h = 2 is not divisible by h_kv = 4"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(given: dict[str, int], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        fill_sizes(given)


def test_what_tells_costs_apart_can_be_chosen() -> None:
    offered = offered_options(load_book().record("linear"), "block")
    assert set(offered) == {"causal", "feature_map", "fused", "norm", "bias"}
    assert (offered["norm"].default, offered["bias"].default) == ("none", False)
    assert set(offered_options(load_book().record("linear"), "core")) == {"causal", "feature_map", "fused"}
    chosen = choose_options(offered, {"norm": "pre", "bias": "TRUE", "window": "3"}, "linear")
    assert (chosen["norm"], chosen["bias"]) == ("pre", True)
    assert "window" not in chosen


def test_dtypes_have_short_names() -> None:
    assert [full_dtype(name) for name in ("bf16", "fp16", "fp32", "float16")] == [
        "bfloat16",
        "float16",
        "float32",
        "float16",
    ]
