"""Whether two formulas are the same for all sizes: by their text, by algebra, by proof, or not by an example.

Floors, minima and maxima are compared in the canonical form of `tfcost.derive.integers`, which needs sympy, not torch.
"""

from tfcost.analysis import polynomial as poly
from tfcost.check.samples import sample_sizes
from tfcost.errors import UserError
from tfcost.formula import Formula


def same(old: Formula, new: Formula) -> bool:
    """Whether `old` and `new` are equal at all sizes.

    What no proof settles is decided by some hundred sizes, small and large, at which they agree or differ.
    """
    if old.text == new.text:
        return True
    try:
        if not poly.difference(poly.expand(old.tree), poly.expand(new.tree)):
            return True
    except UserError:
        pass
    return _agree(old, new) and (_proven(old, new) or _agree(old, new, further=True))


def _agree(old: Formula, new: Formula, further: bool = False) -> bool:
    for values in sample_sizes(old.symbols | new.symbols, 400 if further else 40):
        try:
            if old.evaluate(values) != new.evaluate(values):
                return False
        except UserError:
            continue
    return True


def _proven(old: Formula, new: Formula) -> bool:
    from tfcost.derive.integers.convert import NotAnInteger, from_sympy
    from tfcost.derive.integers.prove import is_nonnegative

    try:
        gap = from_sympy(new.sympy) - from_sympy(old.sympy)
    except NotAnInteger:
        return False
    return is_nonnegative(gap) and is_nonnegative(-gap)
