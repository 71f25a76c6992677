"""Formula text to syntax tree: a tokenizer and a recursive-descent parser; the text is only ever read as data.

    formula = term {("+" | "-") term}         factor = ("-" | "+") factor | atom ["**" factor]
    term    = factor {("*" | "/") factor}     atom   = number | symbol | function "(" formula {"," formula} ")"
                                                       | "(" formula ")"
Exponents are constants, whole or rational: n**2, n**-1, n**(3/2).
"""

import re
from fractions import Fraction
from typing import NoReturn

from tfcost.errors import nearest
from tfcost.formula import tree
from tfcost.formula.error import FormulaError
from tfcost.formula.tree import Node, Number, Symbol

_TOKEN = re.compile(r"\s*(?:([0-9]+)|([A-Za-z_][A-Za-z0-9_]*)|(\*\*|[-+*/(),])|(\S))", re.ASCII)
_HINTS = {"^": " (a power is written **)", ".": " (write a fraction: 7/2)"}
_MAX_DIGITS = 1000
_MINUS_ONE = Number(-1)


def parse(text: str) -> Node:
    """The syntax tree of `text`. FormulaError, with the place, for whatever the grammar does not allow."""
    return _Parser(text).whole()


class _Parser:
    """Reads tokens from left to right; `depth` counts the brackets, signs and exponents around the current place."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        self.positions: list[int] = []
        for match in _TOKEN.finditer(text):
            group = match.lastindex or 0
            token, position = match[group], match.start(group)
            if group == 4:
                self.fail(f"unexpected character {token!r}{_HINTS.get(token, '')}", position)
            self.tokens.append(token)
            self.positions.append(position)
        self.tokens.append("")
        self.positions.append(len(text.rstrip()))
        self.index = 0

    def fail(self, message: str, position: int | None = None) -> NoReturn:
        raise FormulaError.at(self.text, self.positions[self.index] if position is None else position, message)

    def whole(self) -> Node:
        node = self.formula(0)
        if self.tokens[self.index] == ")":
            self.fail("this bracket closes nothing")
        if self.tokens[self.index]:
            self.fail("expected an operator")
        return node

    def formula(self, depth: int) -> Node:
        terms: list[Node] = []
        sign = "+"
        while True:
            factors: list[Node] = [_MINUS_ONE] if sign == "-" else []
            factors.append(self.factor(depth))
            while (operator := self.tokens[self.index]) in ("*", "/"):
                position = self.positions[self.index]
                self.index += 1
                factor = self.factor(depth)
                factors.append(factor if operator == "*" else self.power(factor, -1, position))
            terms.append(tree.multiply(factors))
            sign = self.tokens[self.index]
            if sign not in ("+", "-"):
                return tree.add(terms)
            self.index += 1

    def factor(self, depth: int) -> Node:
        token, position = self.tokens[self.index], self.positions[self.index]
        if depth > tree.MAX_DEPTH:
            self.fail(f"nested more than {tree.MAX_DEPTH} levels deep")
        self.index += 1
        if token in ("-", "+"):
            operand = self.factor(depth + 1)
            return operand if token == "+" else tree.multiply((_MINUS_ONE, operand))
        if token == "(":
            node = self.formula(depth + 1)
            self.close(position)
        elif token.isdigit():
            node = self.number(token, position)
        elif token[:1].isalpha() or token[:1] == "_":
            node = self.named(token, position, depth)
        else:
            self.index -= 1
            self.fail(f"expected a number, a symbol or a bracket, not {token!r}" if token else "the formula stops here")
        if self.tokens[self.index] != "**":
            return node
        position = self.positions[self.index]
        self.index += 1
        exponent = self.factor(depth + 1)
        if not isinstance(exponent, Number):
            self.fail("an exponent must be a constant", position)
        return self.power(node, exponent.value, position)

    def number(self, digits: str, position: int) -> Node:
        if len(digits) > _MAX_DIGITS:
            self.fail(f"a number of {len(digits)} digits (at most {_MAX_DIGITS})", position)
        return Number(int(digits))

    def named(self, name: str, position: int, depth: int) -> Node:
        """A symbol, or a function with its arguments in brackets."""
        if self.tokens[self.index] != "(":
            if name in tree.FUNCTIONS:
                self.fail(f"{name} is a function and needs its arguments in brackets", position)
            return Symbol(name)
        if name not in tree.FUNCTIONS:
            self.fail(f"unknown function '{name}'{nearest(name, tree.FUNCTIONS)}", position)
        bracket = self.positions[self.index]
        arguments: list[Node] = []
        while not arguments or self.tokens[self.index] == ",":
            self.index += 1
            arguments.append(self.formula(depth + 1))
        self.close(bracket)
        fewest, most = tree.FUNCTIONS[name]
        if len(arguments) < fewest or (most is not None and len(arguments) > most):
            self.fail(f"{name} takes {fewest} argument{'s' * (fewest > 1)}, not {len(arguments)}", position)
        try:
            return tree.call(name, arguments)
        except ArithmeticError as error:
            self.fail(str(error), position)

    def close(self, opened: int) -> None:
        if self.tokens[self.index] == "":
            self.fail("this bracket is never closed", opened)
        if self.tokens[self.index] != ")":
            self.fail("expected an operator or a closing bracket")
        self.index += 1

    def power(self, base: Node, exponent: int | Fraction, position: int) -> Node:
        try:
            return tree.power(base, exponent)
        except ZeroDivisionError:
            self.fail("division by zero", position)
        except ArithmeticError as error:
            self.fail(str(error), position)
