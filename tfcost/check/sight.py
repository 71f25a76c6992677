"""How the formulas of one target are read: its cost and configuration in; classes, values and short forms out.

A technique of tfcost is told in the symbols of the table, with m = n and the like where its sizes say so; a function
of the user's in its own sizes, with d = h*d_h where it has heads but no width.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tfcost.analysis.bounds import Undecided
from tfcost.analysis.query import DEFAULT_SIZES, fill_sizes
from tfcost.analysis.readable import readable
from tfcost.analysis.regime import Regime
from tfcost.analysis.shown import class_of, class_regime, decided_at, in_class_symbols, shown_form
from tfcost.analysis.theta import Theta, theta
from tfcost.analysis.within import within_class
from tfcost.cost import Cost
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.numbers import parse_count

# Sizes of a function's own that nothing is said of.
_USUAL = {"d": 768, "f": 3072, "h_kv": 12, "E": 8, "k": 2, "w": 256, "c": 256, "r": 1}
_OTHER_SIZE = 64


@dataclass(frozen=True)
class Sight:
    """What is needed to read the formulas of `cost`: the sizes, the regime and the `dims` ("n", "d_h=64") that the
    target gives, and whether it is a technique (`defaults` are then the technique's own).
    """

    cost: Cost
    sizes: Mapping[str, int]
    regime_lines: tuple[str, ...] = ()
    is_technique: bool = False
    defaults: Mapping[str, int] = field(default_factory=dict)
    dims: tuple[str, ...] = ()

    @cached_property
    def fixed(self) -> dict[str, int]:
        """The sizes that are numbers here, by name."""
        given = (dim.partition("=") for dim in self.dims)
        return {**self.cost.fixed, **{name: parse_count(size, name) for name, equals, size in given if equals}}

    @cached_property
    def values(self) -> dict[str, int]:
        """A number for every symbol: those given, and usual ones for the rest."""
        given = {**self.fixed, **self.sizes}
        if self.is_technique:
            return fill_sizes(given, self.defaults)
        usual = {**DEFAULT_SIZES, **_USUAL, "m": given.get("n", DEFAULT_SIZES["n"])}
        return {**{name: usual.get(name, _OTHER_SIZE) for name in self.cost.symbols}, **given}

    @cached_property
    def symbols(self) -> frozenset[str]:
        """The symbols that a contract may use."""
        own = {*self.cost.symbols, *self.fixed, *(dim.partition("=")[0] for dim in self.dims)}
        if self.is_technique:
            own |= {"n"} | ({"h", "d_h", "d"} if own & {"h", "d_h", "d", "f"} else set())
        return frozenset(own | self._regime_symbols)

    @cached_property
    def _regime_symbols(self) -> set[str]:
        relations = {name for name, _ in self.regime.relations}
        return relations | ({"m"} if "m" in self.cost.symbols else set())

    @cached_property
    def regime(self) -> Regime:
        """What holds between the sizes when classes are compared."""
        if self.is_technique:
            return Regime.of(*self.regime_lines, implied=class_regime(self.values))
        return Regime.of(*self.regime_lines, implied=self._width)

    @property
    def _width(self) -> tuple[str, ...]:
        """The definition of d, where the code has heads of some width and the target does not say what d is."""
        names = {*self.cost.symbols, *self.fixed}
        said = any(line.replace(" ", "").startswith("d=") for line in self.regime_lines)
        if "d" in names or said or not {"h", "d_h"} <= names or "h" in self.fixed:
            return ()
        return (f"d = h*{self.fixed.get('d_h', 'd_h')}",)

    def class_of(self, formula: Formula) -> Theta | None:
        """The class of `formula`; None where it stays open."""
        if self.is_technique and not self.regime_lines:
            return class_of(formula, self._sizes_of(formula), self.cost.fixed)
        formula = self._rewritten(formula)
        for form in self._forms(formula):
            try:
                return theta(form, self.regime)
            except Undecided:
                continue
        return None

    def _forms(self, formula: Formula) -> Iterator[Formula]:
        """The formula, without its roundings, and without its Min and Max: each supposes more than the one before."""
        yield formula
        yield readable(formula).formula
        yield decided_at(formula, self._sizes_of(formula))

    def within(self, formula: Formula, declared: Formula) -> bool | None:
        """Whether `formula` stays within the class of `declared`; None where that is open."""
        declared = self._rewritten(declared.substitute(_used(self.fixed, declared)))
        return within_class(self.class_of(formula), self._rewritten(formula), declared, self.regime)

    def spoken(self, formula: Formula, symbols: Collection[str]) -> Formula:
        """`formula` in the words of a bound in `symbols`: with m = n and h_kv = h where it does not speak of them, d by
        its definition, and what has one value here as a number.
        """
        fixed = {name: str(size) for name, size in self.fixed.items()}
        if self.is_technique:
            follows = {"m": "n", "h_kv": "h", "d": f"h*{fixed.get('d_h', 'd_h')}"}
            fixed |= {name: text for name, text in follows.items() if name not in symbols or name == "d"}
            return formula.substitute({name: text for name, text in fixed.items() if name in formula.symbols})
        formula = Formula.of_tree(self.regime.applied(formula.tree))
        return formula.substitute({name: text for name, text in fixed.items() if name in formula.symbols})

    def short(self, formula: Formula) -> Formula:
        """The form of `formula` to show."""
        if self.is_technique:
            return shown_form(formula, self._sizes_of(formula), self.cost.fixed).formula
        return readable(formula).formula

    def value(self, formula: Formula) -> float:
        """About how much that is at the target's sizes."""
        try:
            return float(formula.evaluate(self._sizes_of(formula)))
        except UserError:
            return 0.0

    def told_sizes(self, *formulas: Formula) -> str:
        """The sizes that the values of `formulas` hold for: "n=4096, d_h=64"."""
        sizes = {name: size for formula in formulas for name, size in self._sizes_of(formula).items()}
        names = {name for formula in formulas for name in formula.symbols}
        return ", ".join(f"{name}={sizes[name]}" for name in sorted(names))

    def _sizes_of(self, formula: Formula) -> dict[str, int]:
        """The values, and usual sizes for symbols that the cost no longer has."""
        usual = {name: _USUAL.get(name, _OTHER_SIZE) for name in formula.symbols - self.values.keys()}
        return {**self.values, **usual}

    def _rewritten(self, formula: Formula) -> Formula:
        return in_class_symbols(formula, self.values, self.cost.fixed) if self.is_technique else formula


def _used(values: Mapping[str, int], formula: Formula) -> dict[str, int]:
    return {name: size for name, size in values.items() if name in formula.symbols}
