"""Recognises lines between bounds: minima and maxima that equal clamp(slope*var + rest, bottom, top)."""

from dataclasses import dataclass

from tfcost.derive.integers.lattice import as_lattice, extreme
from tfcost.derive.integers.poly import ZERO, Extreme, Number, Poly, Var
from tfcost.derive.integers.prove import is_nonnegative


@dataclass(frozen=True, slots=True)
class Clamp:
    """An atom that equals clamp(slope*var + rest, bottom, top); a bound of None does not occur."""

    slope: Poly
    rest: Poly
    bottom: Poly | None
    top: Poly | None

    def bottom_if_height(self, height: Number, var: Var) -> Poly | None:
        """The bottom, if the clamp spans `height`; a bound that does not occur may lie where the line stops short."""
        line = self.slope * Poly.of(var) + self.rest
        if self.bottom is None:
            assert self.top is not None
            bottom = self.top - height
            return bottom if is_nonnegative(line - bottom) else None
        if self.top is None:
            return self.bottom if is_nonnegative(self.bottom + height - line) else None
        return self.bottom if self.top == self.bottom + height else None


def as_clamp(atom: Extreme, var: Var) -> Clamp | None:
    """The clamp that the atom is as a function of `var`; None if it is more than one line between fixed bounds."""
    fixed = [part for part in atom.parts if var not in part.variables]
    moving = [part for part in atom.parts if var in part.variables]
    if not fixed:
        return None
    opened = as_lattice(moving[0], preferred=not atom.is_min) if len(moving) == 1 else None
    kind, inner = opened if opened is not None and opened[0] != atom.is_min else (atom.is_min, tuple(moving))
    line = _one_line(kind, [part for part in inner if var in part.variables], var)
    if line is None:
        return None
    outer = extreme(atom.is_min, fixed)
    inner_fixed = [part for part in inner if var not in part.variables]
    other = extreme(kind, inner_fixed) if inner_fixed else None
    return Clamp(*line, bottom=other, top=outer) if atom.is_min else Clamp(*line, bottom=outer, top=other)


def _one_line(is_min: bool, parts: list[Poly], var: Var) -> tuple[Poly, Poly] | None:
    """Lines of one slope as a single one: the smallest of slope*var + rest_i is slope*var + the smallest rest."""
    lines = [part.affine(var) for part in parts]
    slope = lines[0][0] if lines and lines[0] is not None else ZERO
    if not slope.is_constant or not slope.terms or any(line is None or line[0] != slope for line in lines):
        return None
    return slope, extreme(is_min, [line[1] for line in lines if line is not None])
