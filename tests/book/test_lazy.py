"""Lazy containers: like ordinary ones, but nothing is made before it is looked at, and nothing twice."""

import pytest

from tfcost.book.lazy import Lazy, LazyMapping


def test_elements_are_made_once_and_only_when_looked_at() -> None:
    made: list[int] = []
    lazy = Lazy(3, lambda index: made.append(index) or 10 * index)
    assert (len(lazy), made) == (3, [])
    assert (lazy[1], lazy[-2], lazy[1]) == (10, 10, 10)
    assert made == [1]
    assert lazy == (0, 10, 20)
    assert list(lazy[1:]) == [10, 20]
    assert made == [1, 0, 2]
    with pytest.raises(IndexError):
        lazy[3]


def test_values_are_made_once_and_only_when_looked_at() -> None:
    made: list[str] = []
    lazy = LazyMapping(["b", "a"], lambda name: made.append(name) or name.upper())
    assert (list(lazy), "a" in lazy, "c" in lazy, made) == (["b", "a"], True, False, [])
    assert lazy == {"a": "A", "b": "B"}
    assert sorted(made) == ["a", "b"]
    with pytest.raises(KeyError):
        lazy["c"]
