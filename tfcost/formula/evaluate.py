"""Syntax tree to a function of the symbols' values: exact, in integers and fractions, and fast.

A tree is turned once into nested closures; products keep numerator and denominator apart, so that a fraction is only
made where the result is one.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import isqrt

from tfcost.formula import tree
from tfcost.formula.tree import Call, Node, Number, Power, Product, Sum, Symbol

Exact = int | Fraction
Evaluator = Callable[[Mapping[str, Exact]], Exact]
Ratio = Callable[[Mapping[str, Exact]], tuple[Exact, Exact]]


def compile_tree(node: Node) -> Evaluator:
    """The function that maps symbol values to the value of `node`.

    It raises KeyError for a missing symbol, ZeroDivisionError, OverflowError for an absurd power, and ArithmeticError
    for an irrational one.
    """
    match node:
        case Number(value):
            return lambda values: value
        case Symbol(name):
            return lambda values: values[name]
        case Sum(terms):
            return _sum([compile_tree(term) for term in terms])
        case Product():
            return _product(node)
        case Power():
            return _power(node)
        case Call():
            return _call(node)


def _sum(terms: list[Evaluator]) -> Evaluator:
    def evaluate(values: Mapping[str, Exact]) -> Exact:
        total: Exact = 0
        for term in terms:
            total += term(values)
        return tree.exact(total)

    return evaluate


def _product(node: Product) -> Evaluator:
    ratio = _ratio(node)
    return lambda values: _quotient(*ratio(values))


def _ratio(node: Product) -> Ratio:
    """The function that gives the numerator and the denominator of a product, not yet divided."""
    above, below = 1, 1
    names: list[str] = []
    factors: list[Evaluator] = []
    divisors: list[Evaluator] = []
    for factor in node.factors:
        match factor:
            case Number(value):
                above, below = value.numerator, value.denominator
            case Symbol(name):
                names.append(name)
            case Power(base, int(exponent)) if exponent < 0:
                divisors.append(compile_tree(tree.power(base, -exponent)))
            case _:
                factors.append(compile_tree(factor))

    def evaluate(values: Mapping[str, Exact]) -> tuple[Exact, Exact]:
        numerator: Exact = above
        for name in names:
            numerator *= values[name]
        for factor in factors:
            numerator *= factor(values)
        denominator: Exact = below
        for divisor in divisors:
            denominator *= divisor(values)
        return numerator, denominator

    return evaluate


def _quotient(numerator: Exact, denominator: Exact) -> Exact:
    if denominator == 1:
        return tree.exact(numerator)
    if isinstance(numerator, int) and isinstance(denominator, int):
        quotient, rest = divmod(numerator, denominator)
        return Fraction(numerator, denominator) if rest else quotient
    return tree.exact(Fraction(numerator) / denominator)


def _power(node: Power) -> Evaluator:
    base, exponent = compile_tree(node.base), node.exponent
    whole, root = exponent.numerator, exponent.denominator

    def evaluate(values: Mapping[str, Exact]) -> Exact:
        value = base(values)
        return tree.whole_power(value if root == 1 else exact_root(value, root), whole)

    return evaluate


def exact_root(value: Exact, degree: int) -> Exact:
    """The rational `degree`-th root of `value`; ArithmeticError if there is none."""
    top, bottom = _whole_root(value.numerator, degree), _whole_root(value.denominator, degree)
    if value < 0 or top**degree != value.numerator or bottom**degree != value.denominator:
        raise ArithmeticError(f"the root 1/{degree} of {value} is not a rational number")
    return tree.exact(Fraction(top, bottom))


def _whole_root(value: int, degree: int) -> int:
    """The largest integer whose `degree`-th power is at most `value` (0 for negative values)."""
    if value < 1:
        return 0
    if degree == 2:
        return isqrt(value)
    low, high = 1, 1 << (value.bit_length() // degree + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle)
    return low


def _call(node: Call) -> Evaluator:
    function = node.function
    if function in ("ceiling", "floor") and isinstance(node.arguments[0], Product):
        return _rounded_ratio(_ratio(node.arguments[0]), up=function == "ceiling")
    arguments = [compile_tree(argument) for argument in node.arguments]
    return lambda values: tree.apply(function, [argument(values) for argument in arguments])


def _rounded_ratio(ratio: Ratio, up: bool) -> Evaluator:
    """Rounding a quotient without making the fraction, which is what tile counts do all the time."""

    def evaluate(values: Mapping[str, Exact]) -> Exact:
        numerator, denominator = ratio(values)
        return -(-numerator // denominator) if up else numerator // denominator

    return evaluate
