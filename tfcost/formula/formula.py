"""`Formula`, the exact formula type of the whole project: its text is its identity, everything else follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from typing import Any

from tfcost.errors import UserError
from tfcost.formula import styles, tree
from tfcost.formula.convert import from_sympy, to_sympy
from tfcost.formula.error import FormulaError
from tfcost.formula.evaluate import Evaluator, compile_tree
from tfcost.formula.parse import parse
from tfcost.formula.render import render
from tfcost.formula.tree import Node, Number


@dataclass(frozen=True)
class Formula:
    """A formula of integer symbols: `Formula("4*b*h*n**2*d_h")`. Two are equal if their texts are.

    Raises FormulaError (a UserError) with the place of the mistake if `text` is not a formula.
    """

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise FormulaError(f"a formula must be text, not {type(self.text).__name__} {self.text!r}")
        object.__setattr__(self, "text", self.text.strip())
        _ = self.tree

    @classmethod
    def deferred(cls, text: str) -> "Formula":
        """The formula of `text`, which is not looked at before it is used: for files with thousands of formulas.

        A mistake in it is then raised by the first use. Equal texts share one formula, parsed once: costs repeat them.
        """
        return _deferred(text.strip())

    @classmethod
    def of(cls, expression: Any) -> "Formula":
        """The formula of a sympy expression, an int or a Fraction, in canonical order (highest degree first).

        FormulaError, naming the function, if the grammar has no word for something in it.
        """
        return cls.of_tree(from_sympy(expression))

    @classmethod
    def of_tree(cls, node: Node) -> "Formula":
        """The formula of a syntax tree, its text in canonical order (written when it is first asked for)."""
        if tree.depth(node) > tree.MAX_DEPTH:
            raise FormulaError(f"a formula nested more than {tree.MAX_DEPTH} levels deep")
        formula = cls.__new__(cls)
        formula.__dict__["tree"] = node
        return formula

    def __getattr__(self, name: str) -> str:
        """The text of a formula that came from a tree: most intermediate results are never written."""
        if name != "text" or "tree" not in self.__dict__:
            raise AttributeError(name)
        text = render(self.tree, styles.CANONICAL)
        object.__setattr__(self, "text", text)
        return text

    @cached_property
    def tree(self) -> Node:
        """The syntax tree."""
        return parse(self.text)

    @cached_property
    def symbols(self) -> frozenset[str]:
        """The names of the symbols."""
        return frozenset(tree.names(self.tree))

    @cached_property
    def sympy(self) -> Any:
        """The sympy expression, its symbols positive integers."""
        return to_sympy(self.tree)

    @cached_property
    def _evaluator(self) -> Evaluator:
        return compile_tree(self.tree)

    def evaluate(self, values: Mapping[str, int | Fraction]) -> int | Fraction:
        """The exact value at `values`, an int where it is whole; sizes without a symbol here are ignored.

        UserError for a symbol without a value or with a value that is not exact; FormulaError where there is no exact
        result (division by zero, an irrational root, a power with thousands of digits).
        """
        try:
            for name in self.symbols:
                if not isinstance(values[name], int | Fraction):
                    raise UserError(f"{name} = {values[name]!r} is not a whole number or fraction")
            return self._evaluator(values)
        except KeyError:
            missing = sorted(self.symbols - values.keys())
            raise UserError(f"no value for {', '.join(missing)} in {self._shortened()}") from None
        except ZeroDivisionError:
            raise FormulaError(f"division by zero in {self._shortened()} at {_shown(self.symbols, values)}") from None
        except ArithmeticError as error:
            raise FormulaError(f"{error}, in {self._shortened()} at {_shown(self.symbols, values)}") from None

    def substitute(self, new: "Mapping[str, Formula | int | Fraction | str]") -> "Formula":
        """The formula with symbols replaced, all at once, by formulas, numbers or formula texts; constants folded."""
        nodes = {name: _node(value) for name, value in new.items()}
        try:
            return Formula.of_tree(tree.replace(self.tree, nodes))
        except ZeroDivisionError:
            raise FormulaError(f"division by zero after substitution in {self._shortened()}") from None
        except ArithmeticError as error:
            raise FormulaError(f"{error}, after substitution in {self._shortened()}") from None

    def latex(self) -> str:
        """LaTeX for math mode."""
        return render(self.tree, styles.LATEX)

    def pretty(self, ascii_only: bool = False) -> str:
        """For a terminal, in the field's usual order: `4·b·h·n²·d_h`, or `4*b*h*n**2*d_h` in ASCII."""
        return render(self.tree, styles.READABLE if ascii_only else styles.TERMINAL)

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[Any, ...]:
        return Formula.deferred, (self.text,)

    def _shortened(self) -> str:
        return self.text if len(self.text) <= 60 else f"{self.text[:57]}..."


@cache
def _deferred(text: str) -> Formula:
    formula = Formula.__new__(Formula)
    object.__setattr__(formula, "text", text)
    return formula


def _node(value: "Formula | int | Fraction | str") -> Node:
    if isinstance(value, Formula):
        return value.tree
    return parse(value) if isinstance(value, str) else Number(tree.exact(value))


def _shown(names: frozenset[str], values: Mapping[str, int | Fraction]) -> str:
    return ", ".join(f"{name} = {values[name]}" for name in sorted(names)) or "its constants"
