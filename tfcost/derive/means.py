"""Numbers that only real data has, as symbols for their mean: sound where a cost is linear in them.

What differs from tile to tile (the rows of a tile) is one symbol in a derivation. The sum of a linear cost over all
tiles is then that of the mean, and its total is a fact that the technique declares.
"""

from collections.abc import Iterable, Sequence

import sympy as sp

from tfcost.derive.errors import DerivationError

Meanings = Sequence[tuple[sp.Expr, sp.Expr]]


def check_linear(amounts: Iterable[sp.Expr], declared: Meanings) -> None:
    """Raises `DerivationError` if an amount is not linear in each of the `declared` expressions, replaced in order."""
    stands = [(key, sp.Dummy(str(key), integer=True, positive=True)) for key, _ in declared]
    for amount in {amount for amount in amounts if uses(amount, declared)}:
        for key, stand in stands:
            amount = amount.xreplace({key: stand})
        for _, stand in stands:
            if amount.diff(stand).has(stand):
                raise DerivationError(f"the cost is not linear in '{stand.name}', of which only the mean is known")


def uses(expression: sp.Expr, declared: Meanings) -> bool:
    """Whether the expression holds a symbol that is declared."""
    names = {symbol for key, _ in declared for symbol in key.free_symbols}
    return not names.isdisjoint(expression.free_symbols)
