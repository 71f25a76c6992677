"""The whole book: which techniques there are, and the one cost that answers a question."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path

from tfcost.book.read import read_record
from tfcost.book.record import OptionValue, TechniqueRecord
from tfcost.book.validate import check_record
from tfcost.cost import Cost
from tfcost.errors import UserError, nearest

BOOK_FOLDER = Path(__file__).parent


class Book:
    """The book files in `folder`, each read when its technique is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._records: dict[str, TechniqueRecord] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The techniques that have a book file, in alphabetical order."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.json")))

    @property
    def techniques(self) -> dict[str, TechniqueRecord]:
        """Every record by technique name."""
        return {name: self.record(name) for name in self.names}

    def record(self, technique: str) -> TechniqueRecord:
        """The record of one technique. UserError, with the nearest name, if there is none."""
        if technique not in self._records:
            if technique not in self.names:
                raise UserError(f"unknown technique '{technique}'{nearest(technique, self.names)}")
            path = self.folder / f"{technique}.json"
            record = read_record(path)
            if record.technique != technique:
                raise UserError(f"{path}: holds the technique '{record.technique}'")
            self._records[technique] = record
        return self._records[technique]

    def find(
        self,
        technique: str,
        *,
        scope: str,
        pass_: str,
        dtype: str,
        variant: Mapping[str, OptionValue],
        values: Mapping[str, int],
    ) -> Cost:
        """The one cost of `technique` for these choices; `values` must meet the symbols that a cost fixes.

        Options missing in `variant` take the technique's defaults. UserError that lists what exists otherwise.
        """
        record = self.record(technique)
        chosen = {name: option.default for name, option in record.options.items()} | dict(variant)
        options = _situation(values) | chosen
        costs = _select(record.costs, technique, f"scope '{scope}'", lambda c: c.scope, lambda c: c.scope == scope)
        costs = _select(costs, technique, f"pass '{pass_}'", lambda c: c.pass_, lambda c: c.pass_ == pass_)
        asked = _written({name: value for name, value in options.items() if any(name in c.variant for c in costs)})
        costs = _select(costs, technique, asked, lambda c: _written(c.variant), lambda c: _fits(c, options))
        costs = _select(costs, technique, f"dtype {dtype}", lambda c: ", ".join(c.dtypes), lambda c: dtype in c.dtypes)
        return _with_fixed(costs, technique, values)

    def validate(self) -> None:
        """Parses every formula of every file and checks that each question has one answer. UserError at the first."""
        for name in self.names:
            check_record(read_record(self.folder / f"{name}.json", check_formulas=True))


def load_book(folder: Path | None = None) -> Book:
    """The book in `folder`, by default the one that comes with tfcost. UserError if it holds no technique."""
    book = Book(folder or BOOK_FOLDER)
    if not book.names:
        raise UserError(f"{book.folder}: no book files here; 'tfcost derive' writes them")
    return book


def _select(
    costs: Iterable[Cost], technique: str, wanted: str, shown: Callable[[Cost], str], fits: Callable[[Cost], bool]
) -> list[Cost]:
    """The costs that fit; if none does, an error with what the others offer instead."""
    costs = list(costs)
    fitting = [cost for cost in costs if fits(cost)]
    if not fitting:
        offered = "; ".join(sorted({shown(cost) for cost in costs})) or "nothing"
        raise UserError(f"{technique} has no cost for {wanted}; derived: {offered}")
    return fitting


def _fits(cost: Cost, options: Mapping[str, OptionValue]) -> bool:
    return all(options.get(name) == value for name, value in cost.variant.items())


SITUATIONS = frozenset({"grouped", "padded", "earlier_keys"})
"""What tells costs apart that is decided by the sizes, not by an option."""


def _situation(values: Mapping[str, int]) -> dict[str, OptionValue]:
    """What the sizes themselves decide: code that runs differently in such a case has a cost for each."""
    found: dict[str, OptionValue] = {}
    if "h" in values and "h_kv" in values:
        found["grouped"] = values["h_kv"] != values["h"]
    if "n" in values and "c" in values:
        found["padded"] = values["n"] % values["c"] != 0
    if values.get("m", 0) >= values.get("n", 0):
        found["earlier_keys"] = values.get("m", 0) > values.get("n", 0)
    return found


def _written(options: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={str(value).lower()}" for name, value in sorted(options.items())) or "no options"


def _with_fixed(costs: list[Cost], technique: str, values: Mapping[str, int]) -> Cost:
    fitting = [cost for cost in costs if all(values.get(name) == value for name, value in cost.fixed.items())]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UserError(f"{technique} has {len(fitting)} costs for the same question; the book is damaged")
    for name in sorted({name for cost in costs for name in cost.fixed}):
        derived = {cost.fixed[name] for cost in costs if name in cost.fixed}
        if values.get(name) not in derived:
            shown = ", ".join(map(str, sorted(derived)))
            raise UserError(f"{technique} has no cost for {name} = {values.get(name)}; derived for {name} = {shown}")
    raise UserError(f"{technique} has no cost for this combination of {', '.join(sorted(costs[0].fixed))}")
