"""Formulas and classes as the source document would write them: exact formula and sizes in, a shorter formula and the
class in n, d, h, ... out.

What follows from other sizes is written in them (m = n, h_kv = h, h*d_h = d, where the sizes say so), rounding goes
at whole tiles, and of a Min or Max that stays open the part that holds at the given sizes is taken.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from math import ceil

from tfcost.analysis import polynomial as poly
from tfcost.analysis.bounds import Undecided
from tfcost.analysis.ordered import decided_by_order, picked
from tfcost.analysis.readable import Readable, readable
from tfcost.analysis.regime import Regime
from tfcost.analysis.theta import Theta, theta
from tfcost.analysis.tiles import mapped
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.formula import tree as t
from tfcost.symbols import SYMBOLS

_REGIMES = ("", "n >= d", "n >> d")
_MOST_ROUNDINGS = 10
_MOST_ORDERS = 3  # more are no statement to read
_ALWAYS = ("h_kv <= h", "h <= d")
_PARTS_OF_A_SEQUENCE = ("c", "w", "g", "k", "s")
_WIDTH = "d = h*d_h"
_CLASS_SYMBOLS = frozenset({*(name for name, one in SYMBOLS.items() if one.option), "P", "S", "N", "n_enc", "L_enc"})
"""What classes are told in. Any other size of a model (ranks, widths of parts of a head) is a number of its own."""


def class_of(
    formula: Formula, values: Mapping[str, int], fixed: Mapping[str, int], where: str | None = None
) -> Theta | None:
    """The class in the source document's symbols, under the weakest regime that decides it (or `where`); None if none
    does.

    `fixed` are the symbols that are numbers in `formula`: with a fixed head width the heads grow with d. Where rounding
    leaves the class open, it is that of whole tiles; where a Min or Max does, that of sizes like `values`; and says so.
    """
    formula, implied = in_class_symbols(formula, values, fixed), class_regime(values)
    if where is None and is_tangled(formula) and (found := _class_of_whole_tiles(formula, Regime.of(implied=implied))):
        return found
    for text in _REGIMES if where is None else (where,):
        regime = Regime.of(*filter(None, [text]), implied=implied)
        try:
            return theta(formula, regime)
        except Undecided:
            pass
    found = _class_of_whole_tiles(formula, Regime.of(implied=implied))
    if found or where is not None:
        return found
    return _class_where_decided(formula, values, implied) or _class_at_sizes(formula, values, implied)


def _class_where_decided(formula: Formula, values: Mapping[str, int], implied: tuple[str, ...]) -> Theta | None:
    """The class at whole tiles, where sizes are ordered as at `values` as far as every Min and Max asks for it."""
    aligned = readable(formula)
    try:
        decided, orders = decided_by_order(aligned.formula, values)
        if not 1 <= len(orders) <= _MOST_ORDERS:
            return None
        found = theta(readable(decided).formula, Regime.of(*orders, implied=implied))
    except UserError:  # the order is not one of products and sums, or does not decide the class
        return None
    return replace(found, regime=", ".join([*orders, *(["whole tiles"] if aligned.regime else [])]))


def in_class_symbols(formula: Formula, values: Mapping[str, int], fixed: Mapping[str, int]) -> Formula:
    """`formula` in the symbols that classes are told in, where the others follow from them at `values`."""
    own = {name: Formula(str(values[name])) for name in formula.symbols - _CLASS_SYMBOLS if name in values}
    definitions = {"d_h": "d/h", "f": "4*d"} | ({"h": f"d/{fixed['d_h']}"} if "d_h" in fixed else {})
    return _rewritten(_counted_from_zero(formula.substitute(own) if own else formula), values, definitions)


def _counted_from_zero(formula: Formula) -> Formula:
    """`formula` with L + 3 for L where L - 3 layers are of a kind: there are more than 3 of them, so the class is the
    same, and nothing is subtracted.
    """
    others = max(_subtracted(formula.tree, "L"), default=0)
    return formula.substitute({"L": f"L + {others}"}) if others else formula


def _subtracted(node: t.Node, name: str) -> Iterator[int]:
    """The whole numbers that are subtracted from the symbol, rounded up."""
    if isinstance(node, t.Sum):
        terms = poly.expand(node) if len(node.terms) == 2 else {}
        number, coefficient = terms.get(poly.UNIT, 0), terms.get(frozenset([(name, 1)]), 0)
        if number < 0 < coefficient and len(terms) == 2:
            yield ceil(-number / Fraction(coefficient))
    for child in t.children(node):
        yield from _subtracted(child, name)


def class_regime(values: Mapping[str, int]) -> tuple[str, ...]:
    """What every class may suppose at sizes like `values`."""
    within = (f"{name} <= n" for name in _PARTS_OF_A_SEQUENCE if values.get(name, values["n"]) < values["n"])
    return (*_ALWAYS, *within)


def _class_at_sizes(formula: Formula, values: Mapping[str, int], implied: tuple[str, ...]) -> Theta | None:
    """The class where every Min and Max is the argument that it equals at `values`; with that, and only then, parts of
    the sequence may be taken as far shorter than it.
    """
    decided = decided_at(formula, values)
    parts = [name for name in _PARTS_OF_A_SEQUENCE if name in decided.symbols and values[name] < values["n"]]
    for texts in ((), tuple(f"n >> {name}" for name in parts)):
        try:
            found = theta(decided, Regime.of(*texts, implied=implied))
        except Undecided:
            continue
        return replace(found, regime=", ".join([*texts, "whole tiles and sizes like these"]))
    return None


def decided_at(formula: Formula, values: Mapping[str, int]) -> Formula:
    """The readable form of `formula` with every Min and Max replaced by the argument that it equals at `values`."""
    tree = mapped(readable(formula).formula.tree, lambda call: picked(call, values))
    return readable(Formula.of_tree(tree)).formula


def _class_of_whole_tiles(formula: Formula, regime: Regime) -> Theta | None:
    aligned = readable(formula)
    if not aligned.regime:
        return None
    try:
        return replace(theta(aligned.formula, regime), regime=aligned.regime)
    except Undecided:
        return None


def shown_form(formula: Formula, values: Mapping[str, int], fixed: Mapping[str, int]) -> Readable:
    """The form of `formula` to read at `values`, and what it supposes beyond them ("": nothing)."""
    regime = model_regime(values)
    found = readable(_rewritten(formula, values, {}), regime, collect=True)
    decided = mapped(found.formula.tree, lambda call: picked(call, values))
    if decided != found.formula.tree:
        again = readable(Formula.of_tree(decided), regime, collect=True)
        conditions = [found.regime, again.regime, "sizes like these, where this is the largest of several terms"]
        found = Readable(again.formula, ", ".join(dict.fromkeys(filter(None, conditions))))
    if "d_h" in fixed and values["d"] == values["h"] * fixed["d_h"]:
        return replace(found, formula=_width_restored(found.formula, fixed["d_h"]))
    return found


def _width_restored(formula: Formula, head_width: int) -> Formula:
    """`formula`, in which the head width is a number, with h times that number written d, where it divides."""
    terms: list[poly.Polynomial] = []
    for monomial, coefficient in poly.expand(formula.tree).items():
        power = dict(monomial).get("h", 0)
        number = head_width**power if isinstance(power, int) and power > 0 else 0
        if number and Fraction(coefficient) % number == 0:
            width = poly.joined(frozenset([("d", power)]), frozenset([("h", power)]), -1)
            monomial, coefficient = poly.joined(monomial, width), Fraction(coefficient) / number
        terms.append({monomial: t.exact(coefficient)})
    return poly.to_formula(poly.total(terms))


def is_tangled(formula: Formula) -> bool:
    """Whether `formula` has so many roundings, Min and Max that exact answers about it would take seconds."""
    return _roundings(formula.tree) > _MOST_ROUNDINGS


def _roundings(node: t.Node) -> int:
    return isinstance(node, t.Call) + sum(map(_roundings, t.children(node)))


def along_n(formula: Formula, values: Mapping[str, int]) -> Formula:
    """`formula` as a function of n: m follows n where they are equal."""
    return formula.substitute({"m": "n"}) if values.get("m") == values["n"] and "m" in formula.symbols else formula


def with_hidden_width(formula: Formula, values: Mapping[str, int]) -> Formula:
    """`formula` with f written 4*d where that is its value: what the width of the model rules then shows as one."""
    return formula.substitute({"f": "4*d"}) if "f" in formula.symbols and _holds("f", "4*d", values) else formula


def model_regime(values: Mapping[str, int]) -> Regime:
    """What holds between the sizes of every model, and d = h*d_h if it does at `values`."""
    width = {"d", "h", "d_h"} <= values.keys() and values["d"] == values["h"] * values["d_h"]
    return Regime.of(implied=(_WIDTH, "h_kv <= h") if width else ("h_kv <= h",))


def _rewritten(formula: Formula, values: Mapping[str, int], more: Mapping[str, str]) -> Formula:
    """`formula` in fewer symbols: m = n, h_kv = h and `more` definitions, each only where it holds at `values`."""
    definitions = {"m": "n", "h_kv": "h"} | dict(more)
    holding = {name: text for name, text in definitions.items() if _holds(name, text, values)}
    if "h" in holding and "h_kv" in holding:
        holding["h_kv"] = holding["h"]
    following = {name: text for name, text in holding.items() if name in formula.symbols}
    return formula.substitute(following) if following else formula


def _holds(name: str, definition: str, values: Mapping[str, int]) -> bool:
    formula = Formula(definition)
    return name in values and formula.symbols <= values.keys() and formula.evaluate(values) == values[name]
