"""Symbols of a model out of those of its parts: one name per value, `f_2` where another part has a different f."""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from tfcost.formula import Formula


class Names:
    """The symbols of a model with their values, which grow as parts are added."""

    def __init__(self, values: Mapping[str, int]) -> None:
        self.values = dict(values)
        self.used: set[str] = set()

    def meanings(
        self, symbols: Iterable[str], own: Mapping[str, int], formulas: Mapping[str, str], renamed: Mapping[str, str]
    ) -> dict[str, Formula]:
        """What each of a part's `symbols` is in the model's: `own` has their values, `formulas` those that follow from
        others, `renamed` the names that a part of the encoder uses.
        """
        found: dict[str, Formula] = {}
        direct = {*symbols} - formulas.keys()
        for name in {*symbols} & formulas.keys():
            direct |= Formula(formulas[name]).symbols
        names = {name: self._name(renamed.get(name, name), own[name]) for name in sorted(direct) if name in own}
        for name in symbols:
            found[name] = Formula(formulas.get(name, name)).substitute(names)
        return found

    def _name(self, name: str, value: int) -> str:
        candidate, number = name, 1
        while self.values.setdefault(candidate, value) != value:
            number += 1
            candidate = f"{name}_{number}"
        self.used.add(candidate)
        return candidate

    def evaluated(self, meanings: Mapping[str, Formula]) -> dict[str, int | Fraction]:
        """The values of a part's own symbols."""
        return {name: meaning.evaluate(self.values) for name, meaning in meanings.items()
                if meaning.symbols <= self.values.keys()}  # fmt: skip
