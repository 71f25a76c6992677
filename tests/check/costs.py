"""Small costs made by hand, with operations on lines of a file mine.py."""

from collections.abc import Mapping

from tfcost.cost import Cost, Held, Moment, Operation, Quantity
from tfcost.formula import Formula


def make_cost(
    quantities: Mapping[str, str], operations: tuple[Operation, ...] = (), moments: tuple[Moment, ...] = (),
    fixed: Mapping[str, int] | None = None, pass_: str = "forward", saved: tuple[Held, ...] = (),
) -> Cost:  # fmt: skip
    """A function's cost with these formulas."""
    formulas = {name: Formula(text) for name, text in quantities.items()}
    symbols = sorted({name for formula in formulas.values() for name in formula.symbols})
    return Cost(
        technique="attention", implementation="torch", scope="function", pass_=pass_, dtypes=("bfloat16",), variant={},
        fixed=fixed or {}, symbols=tuple(symbols), operations=operations, steps=(), moments=moments, saved=saved,
        quantities={name: Quantity(formula, "traced") for name, formula in formulas.items()},
    )  # fmt: skip


def operation(step: str, name: str, line: int, **amounts: str) -> Operation:
    """An operation on a line of mine.py."""
    found = {kind: Formula(text) for kind, text in amounts.items()}
    return Operation(name, step, f"mine.py:{line}", f"{step} = ...", found)


def held(step: str, name: str, line: int, size: str) -> Held:
    """What an operation on a line of mine.py made and is still there."""
    return Held(name, step, f"mine.py:{line}" if line else "", f"{step} = ...", Formula(size))
