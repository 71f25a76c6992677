"""What changed against the lock file: told once per quantity, with the class or the factor, and the part it is in."""

from fractions import Fraction

from check.costs import held, make_cost, operation

from tfcost.check.drift import drift, lines_of
from tfcost.check.finding import Finding
from tfcost.check.sight import Sight
from tfcost.cost import Cost, Moment
from tfcost.formula import Formula

SCORES = operation("scores", "aten.bmm", 5, matmul_flops="2*b*n**2*d", read_bytes="4*b*n*d", write_bytes="2*b*n**2")
VALUES = operation("values", "aten.bmm", 7, matmul_flops="2*b*n**2*d", read_bytes="2*b*n**2")
FLAT = Moment(Formula("6*b*n*d"), (held("arguments", "q", 0, "4*b*n*d"), held("values", "aten.bmm", 7, "2*b*n*d")))
SQUARE = Moment(Formula("4*b*n*d + 2*b*n**2"), (*FLAT.held[:1], held("scores", "aten.bmm", 5, "2*b*n**2")))


def _drift(old: Cost, new: Cost, tolerance: dict[str, Fraction] | None = None) -> list[Finding]:
    return list(drift("attention", lines_of("attention", [Sight(old, {})]), [Sight(new, {})], tolerance or {}))


def test_nothing_changed() -> None:
    cost = make_cost({"matmul_flops": "4*b*n**2*d", "peak_bytes": "6*b*n*d"}, (SCORES, VALUES), (FLAT,))
    assert _drift(cost, cost) == []


def test_the_same_cost_written_otherwise() -> None:
    old, new = (make_cost({"matmul_flops": text}, (SCORES, VALUES)) for text in ("4*b*n**2*d", "b*d*(2*n)**2"))
    assert _drift(old, new) == []


def test_steps_and_lines_that_moved_are_no_drift() -> None:
    old = make_cost({"matmul_flops": "4*b*n**2*d"}, (SCORES, VALUES))
    moved = operation("products", "aten.mm", 90, matmul_flops="4*b*n**2*d")
    assert _drift(old, make_cost({"matmul_flops": "4*b*n**2*d"}, (moved,))) == []


def test_another_class_is_told_in_one_line_and_points_at_what_allocates() -> None:
    old = make_cost({"peak_bytes": "6*b*n*d"}, (SCORES, VALUES), (FLAT,))
    new = make_cost({"peak_bytes": "4*b*n*d + 2*b*n**2"}, (SCORES, VALUES), (SQUARE,))
    (finding,) = _drift(old, new)
    assert finding.message == "attention/peak_bytes went from Θ(n·d) to Θ(n² + n·d)"
    first = finding.causes[0]
    assert (first.step, first.operation, first.location, first.old, first.new) == (
        "scores", "aten.bmm", "mine.py:5", "", "2·b·n²",
    )  # fmt: skip
    assert {cause.step for cause in finding.causes} == {"scores", "values"}


def test_more_of_the_same_is_told_with_its_factor_and_the_line_that_was_added() -> None:
    again = operation("values", "aten.bmm", 9, matmul_flops="2*b*n**2*d")
    old = make_cost({"matmul_flops": "4*b*n**2*d"}, (SCORES, VALUES))
    new = make_cost({"matmul_flops": "6*b*n**2*d"}, (SCORES, VALUES, again))
    (finding,) = _drift(old, new)
    assert finding.message == "attention/matmul_flops changed (x1.5): 4·b·n²·d -> 6·b·n²·d"
    (cause,) = finding.causes
    assert (cause.location, cause.old, cause.new) == ("mine.py:9", "2·b·n²·d", "4·b·n²·d")


def test_what_has_no_parts_points_at_the_parts_it_depends_on() -> None:
    more = operation("values", "aten.bmm", 7, matmul_flops="2*b*n**2*d", read_bytes="9*b*n**2")
    old = make_cost({"unique_bytes": "b*n*d", "issued_bytes": "b*n*d"}, (SCORES, VALUES))
    new = make_cost({"unique_bytes": "2*b*n*d", "issued_bytes": "2*b*n*d"}, (SCORES, more))
    assert [[cause.step for cause in finding.causes] for finding in _drift(old, new)] == [["values"]] * 2


def test_the_backward_pass_is_named() -> None:
    old, new = (make_cost({"saved_bytes": text}, pass_="backward") for text in ("b*n", "b*n**2"))
    (finding,) = _drift(old, new)
    assert finding.message == "attention/backward/saved_bytes went from Θ(n) to Θ(n²)"


def test_quantities_and_targets_that_come_and_go() -> None:
    old, new = make_cost({"matmul_flops": "n", "peak_bytes": "n"}), make_cost({"peak_bytes": "n", "saved_bytes": "n"})
    messages = [finding.message for finding in _drift(old, new)]
    assert messages == [
        "attention/forward/saved_bytes is new: n",
        "attention/forward/matmul_flops is gone; the lock file has n",
    ]
    (finding,) = drift("attention", {}, [Sight(new, {})], {})
    assert finding.message == "attention is not in the lock file; run 'tfcost check --update'"


def test_another_rounding_is_told_exactly() -> None:
    old, new = make_cost({"matmul_flops": "b*ceiling(n/64)*64"}), make_cost({"matmul_flops": "b*ceiling(n/128)*128"})
    (finding,) = _drift(old, new)
    assert finding.message == "attention/matmul_flops changed: 64·b·⌈n/64⌉ -> 128·b·⌈n/128⌉"


def test_a_tolerance_holds_within_one_class_only() -> None:
    old, near, far = (make_cost({"peak_bytes": text}) for text in ("100*b*n", "101*b*n", "103*b*n"))
    share = {"peak_bytes": Fraction(2, 100)}
    assert _drift(old, near, share) == []
    assert len(_drift(old, near)) == 1
    assert len(_drift(old, far, share)) == 1
    square = make_cost({"peak_bytes": "100*b*n + b*n**2/10**9"})
    assert len(_drift(old, square, share)) == 1


def test_symbols_that_are_gone_do_not_hide_the_factor() -> None:
    old, new = make_cost({"matmul_flops": "b*n*Min(n, w)"}), make_cost({"matmul_flops": "b*n**2"})
    (finding,) = _drift(old, new)
    assert finding.message == "attention/matmul_flops went from Θ(n·min(n, w)) to Θ(n²)"
    assert "x16 at b=1, n=4096, w=256" in finding.details
