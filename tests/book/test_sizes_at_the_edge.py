"""Formulas of the book at sizes at the edge of what makes sense: a window over everything, or over nothing."""

from collections.abc import Mapping
from typing import Any

import pytest

from tfcost.analysis.claims import default_query
from tfcost.analysis.conditions import inexact
from tfcost.analysis.query import Query, fill_sizes
from tfcost.book import Book, load_book


@pytest.fixture(scope="module")
def book() -> Book:
    return load_book()


def query(book: Book, technique: str, sizes: Mapping[str, int], **options: Any) -> Query:
    """The technique at the core, with its defaults but for what is given."""
    asked = default_query(book.record(technique))
    values = fill_sizes(sizes, book.record(technique).defaults)
    return Query(technique, "core", "forward", asked.dtype, {**asked.options, **options}, values)


def asked_of_mathematics(book: Book, technique: str, causal: bool, **sizes: int) -> int | Any:
    """Algorithmic FLOPs: two products of 2*d_h for every head and pair of tokens that see each other."""
    asked = query(book, technique, sizes, causal=causal)
    return asked.cost(book).quantities["algorithmic_flops"].exact.evaluate(asked.values)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("n", [1, 100, 1000])
def test_a_window_over_everything_is_full_attention(book: Book, n: int, causal: bool) -> None:
    full = asked_of_mathematics(book, "flash", causal, n=n)
    assert full == 4 * 64 * 12 * (n * (n + 1) // 2 if causal else n * n)
    for w in (max(n - 1, 1), n, 10**12):
        assert asked_of_mathematics(book, "sliding-window", causal, n=n, w=w) == full
        assert asked_of_mathematics(book, "longformer", causal, n=n, w=w, g=1) == full
        assert asked_of_mathematics(book, "local", causal, n=n, k=2 * w + 1) == full


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("g", [1000, 1001, 10**12])
def test_nothing_but_global_tokens_is_full_attention(book: Book, g: int, causal: bool) -> None:
    full = asked_of_mathematics(book, "flash", causal, n=1000)
    assert asked_of_mathematics(book, "longformer", causal, n=1000, w=0, g=g) == full


@pytest.mark.parametrize("causal", [True, False])
def test_a_window_of_nothing_but_the_token_itself(book: Book, causal: bool) -> None:
    assert asked_of_mathematics(book, "sliding-window", causal, n=100, w=0) == 4 * 64 * 12 * 100
    assert asked_of_mathematics(book, "longformer", causal, n=100, w=0, g=0) == 4 * 64 * 12 * 100


@pytest.mark.parametrize(
    ("technique", "sizes", "options", "broken"),
    [
        ("dilated", {"n": 4097, "s": 2}, {}, "n = 4097 is not a multiple of s = 2"),
        ("local", {"k": 128}, {"causal": False}, "k = 128 is not odd"),
        ("local", {"k": 128}, {"causal": True}, ""),
        ("cluster", {"c": 100}, {}, "c = 100 is not a multiple of 64"),
        ("dilated", {"n": 4096, "s": 2}, {}, ""),
    ],
)
def test_where_formulas_are_not_exact(
    book: Book, technique: str, sizes: dict[str, int], options: dict[str, Any], broken: str
) -> None:
    asked = query(book, technique, sizes, **options)
    found = inexact(asked.cost(book).assumptions, asked.values)
    assert [reason.partition(":")[0] for reason in found] == ([broken] if broken else [])
