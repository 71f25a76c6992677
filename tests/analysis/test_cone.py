"""Whether a direction of a cone reaches a set of half-spaces: against the cone's extreme rays, which list them all."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tfcost.analysis.cone import Vector, dot, extreme_rays, reaches


def vectors(dimension: int) -> st.SearchStrategy[Vector]:
    return st.tuples(*[st.integers(-3, 3)] * dimension)


def cones(dimension: int) -> st.SearchStrategy[tuple[list[Vector], list[Vector]]]:
    rows = vectors(dimension)
    return st.tuples(st.lists(rows, max_size=4), st.lists(rows, min_size=1, max_size=4))


@settings(max_examples=300)
@given(st.integers(1, 4).flatmap(cones))
def test_reaching_is_being_above_on_the_sum_of_the_rays(cone: tuple[list[Vector], list[Vector]]) -> None:
    rows, above = cone
    rays = extreme_rays(len(above[0]), [*rows, *above])
    middle = [sum(ray[i] for ray in rays) for i in range(len(above[0]))]
    assert reaches(rows, above) == all(dot(row, middle) > 0 for row in above)


def test_known_cones() -> None:
    assert reaches([], [(1, -1), (-1, 2)])  # x > y and 2*y > x
    assert not reaches([], [(1, -1), (-1, 1)])
    assert not reaches([(1, -1)], [(-1, 1)])  # y > x where x >= y
    assert not reaches([], [(0, 0)])
