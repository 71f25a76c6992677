"""Polynomials with rational coefficients over integer atoms: a variable, a floor, a minimum or maximum.

A `Poly` is immutable and canonical: equal values built from the same atoms are equal objects by `==` and `hash`.
Floors, minima and maxima are made by `division` and `lattice`, which keep their arguments canonical too.
"""

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property, lru_cache
from math import gcd, lcm

Number = int | Fraction


class Atom:
    """An indivisible integer-valued factor. `key` orders atoms; `parts` are the expressions inside."""

    key: str
    parts: tuple["Poly", ...] = ()

    @cached_property
    def variables(self) -> frozenset["Var"]:
        """All variables inside, however deep (bounds of variables are not inside)."""
        return frozenset().union(*(part.variables for part in self.parts))


class Var(Atom):
    """An integer variable with lower <= value <= upper (None: unbounded).

    Bounds may use variables of smaller `depth` only: sizes have depth 0, what they bound comes deeper.
    """

    def __init__(
        self, name: str, lower: "Poly | int | None" = None, upper: "Poly | int | None" = None, depth: int = 0
    ) -> None:
        self.name = self.key = name
        self.lower = as_poly(lower) if lower is not None else None
        self.upper = as_poly(upper) if upper is not None else None
        self.depth = depth
        self._hash = hash((name, self.lower, self.upper))

    @cached_property
    def variables(self) -> frozenset["Var"]:
        """The variable itself."""
        return frozenset((self,))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Var) or self._hash != other._hash:
            return False
        return (self.name, self.lower, self.upper) == (other.name, other.lower, other.upper)


class Floor(Atom):
    """floor(numerator / divisor), the divisor at least 1. Made by `division.floor_div` only."""

    def __init__(self, numerator: "Poly", divisor: "Poly") -> None:
        self.numerator, self.divisor = numerator, divisor
        self.parts = (numerator, divisor)
        self.key = f"floor({numerator.key}/{divisor.key})"
        self._hash = hash((numerator, divisor))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Floor) and self._hash == other._hash and self.parts == other.parts)


class Extreme(Atom):
    """The smallest (`is_min`) or largest of two or more `parts`. Made by `lattice.extreme` only."""

    def __init__(self, is_min: bool, arguments: Iterable["Poly"]) -> None:
        self.is_min = is_min
        self.parts = tuple(sorted(arguments, key=lambda argument: argument.key))
        self.key = f"{'min' if is_min else 'max'}({','.join(part.key for part in self.parts)})"
        self._hash = hash((is_min, self.parts))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Extreme) or self._hash != other._hash:
            return False
        return self.is_min == other.is_min and self.parts == other.parts


Monomial = tuple[tuple[Atom, int], ...]


@lru_cache(maxsize=100_000)
def _product(left: Monomial, right: Monomial) -> Monomial:
    powers: dict[Atom, int] = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: item[0].key))


class Poly:
    """A polynomial: `terms` maps a monomial to its coefficient; the empty monomial is the constant."""

    __slots__ = ("__dict__", "_hash", "terms")

    def __init__(self, terms: Mapping[Monomial, Number]) -> None:
        self.terms: dict[Monomial, Number] = {
            monomial: value if type(value) is int or value.denominator > 1 else int(value)
            for monomial, value in terms.items()
            if value
        }
        self._hash = hash(frozenset(self.terms.items()))

    @staticmethod
    def of(atom: Atom) -> "Poly":
        """The atom itself as a polynomial."""
        return Poly({((atom, 1),): 1})

    @cached_property
    def key(self) -> str:
        """A text that orders polynomials the same way in every run."""
        parts = [
            "*".join([str(value), *(f"{a.key}^{p}" for a, p in monomial)]) for monomial, value in self.terms.items()
        ]
        return "+".join(sorted(parts))

    @cached_property
    def variables(self) -> frozenset[Var]:
        """All variables, also those inside floors, minima and maxima."""
        return frozenset().union(*(atom.variables for atom in self.atoms))

    @cached_property
    def atoms(self) -> tuple[Atom, ...]:
        """The atoms of the monomials, in order of their keys."""
        return tuple(sorted({atom for monomial in self.terms for atom, _ in monomial}, key=lambda atom: atom.key))

    @property
    def constant(self) -> Number:
        """The constant term."""
        return self.terms.get((), 0)

    @property
    def is_constant(self) -> bool:
        """Whether this is a number."""
        return not self.terms or (len(self.terms) == 1 and () in self.terms)

    @cached_property
    def is_integral(self) -> bool:
        """Whether every coefficient is an integer, so that the value always is one."""
        return all(isinstance(value, int) for value in self.terms.values())

    @cached_property
    def size(self) -> int:
        """How much there is to read: terms and atoms, nested ones included."""
        return sum(1 + sum(_atom_size(atom) for atom, _ in monomial) for monomial in self.terms)

    def denominator(self) -> int:
        """The smallest number that makes all coefficients integers."""
        return lcm(*(value.denominator for value in self.terms.values()))

    def content(self) -> Number:
        """The largest positive number that divides all coefficients to integers (1 for the zero polynomial)."""
        scale = self.denominator()
        divisor = gcd(*(int(value * scale) for value in self.terms.values()))
        return Fraction(divisor, scale) if divisor else 1

    def split(self, atom: Atom) -> "tuple[Poly, Poly] | None":
        """(cofactor, rest) with self = cofactor * atom + rest, None if the atom occurs with a higher power."""
        cofactor: dict[Monomial, Number] = {}
        rest: dict[Monomial, Number] = {}
        for monomial, value in self.terms.items():
            power = next((p for a, p in monomial if a == atom), 0)
            if power > 1:
                return None
            if power:
                cofactor[tuple(item for item in monomial if item[0] != atom)] = value
            else:
                rest[monomial] = value
        return Poly(cofactor), Poly(rest)

    def affine(self, var: Var) -> "tuple[Poly, Poly] | None":
        """(slope, rest), both free of `var`, with self = slope * var + rest; None if self is not affine in it."""
        parts = self.split(var)
        if parts is None or any(var in part.variables for part in parts):
            return None
        return parts

    def __iter__(self) -> Iterator[tuple[Monomial, Number]]:
        return iter(self.terms.items())

    def __add__(self, other: "Poly | Number") -> "Poly":
        terms = dict(self.terms)
        for monomial, value in as_poly(other).terms.items():
            terms[monomial] = terms.get(monomial, 0) + value
        return Poly(terms)

    def __mul__(self, other: "Poly | Number") -> "Poly":
        if not isinstance(other, Poly):
            return Poly({monomial: value * other for monomial, value in self.terms.items()})
        terms: dict[Monomial, Number] = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                monomial = _product(left, right)
                terms[monomial] = terms.get(monomial, 0) + a * b
        return Poly(terms)

    def __neg__(self) -> "Poly":
        return self * -1

    def __sub__(self, other: "Poly | Number") -> "Poly":
        return self + (-other)

    def __pow__(self, power: int) -> "Poly":
        result = ONE
        for _ in range(power):
            result = result * self
        return result

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: "Poly | Number") -> "Poly":
        return as_poly(other) - self

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Poly) and self._hash == other._hash and self.terms == other.terms)

    def __repr__(self) -> str:
        return f"Poly({self.key})"


def _atom_size(atom: Atom) -> int:
    return 1 + sum(part.size for part in atom.parts)


def as_poly(value: "Poly | Number") -> Poly:
    """A number as a constant polynomial; a polynomial unchanged."""
    return value if isinstance(value, Poly) else Poly({(): value})


def magnitude(value: Number) -> Number:
    """The absolute value, typed."""
    return value if value >= 0 else -value


def common_factor(poly: Poly) -> tuple[Poly, Poly]:
    """(factor, rest) with poly = factor * rest, one term of a positive coefficient that all terms share in front."""
    if not poly.terms:
        return ONE, poly
    number = poly.content()
    monomials = iter(poly.terms)
    powers = dict(next(monomials))
    for monomial in monomials:
        other = dict(monomial)
        powers = {atom: min(power, other[atom]) for atom, power in powers.items() if atom in other}
    factor = Poly({tuple(sorted(powers.items(), key=lambda item: item[0].key)): number})
    rest: dict[Monomial, Number] = {}
    for monomial, value in poly:
        left = tuple((atom, power - powers.get(atom, 0)) for atom, power in monomial if power > powers.get(atom, 0))
        rest[left] = Fraction(value) / number
    return factor, Poly(rest)


ZERO = Poly({})
ONE = Poly({(): 1})
