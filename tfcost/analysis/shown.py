"""Formulas and classes as the source document would write them: exact formula and sizes in, a shorter formula and the
class in n, d, h, ... out.

What follows from other sizes is written in them (m = n, h_kv = h, h*d_h = d, where the sizes say so), rounding goes
at whole tiles, and of a Min or Max that stays open the part that holds at the given sizes is taken.
"""

from collections.abc import Mapping

from tfcost.analysis.bounds import Undecided
from tfcost.analysis.readable import Readable, readable
from tfcost.analysis.regime import Regime
from tfcost.analysis.theta import Theta, theta
from tfcost.analysis.tiles import mapped
from tfcost.formula import Formula
from tfcost.formula import tree as t

_REGIMES: tuple[tuple[str, ...], ...] = ((), ("n >= d",), ("n >> d",))
_ALWAYS = ("h_kv <= h", "h <= d")
_PARTS_OF_A_SEQUENCE = ("c", "w", "g", "k")
_WIDTH = "d = h*d_h"


def class_of(formula: Formula, values: Mapping[str, int], fixed: Mapping[str, int]) -> Theta | None:
    """The class in the source document's symbols, under the weakest regime that decides it; None if none does.

    `fixed` are the symbols that are numbers in `formula`: with a fixed head width the heads grow with d.
    """
    formula = _rewritten(formula, values, fixed, {"d_h": "d/h", "f": "4*d"})
    within = (f"{name} <= n" for name in _PARTS_OF_A_SEQUENCE if values.get(name, values["n"]) < values["n"])
    implied = (*_ALWAYS, *within)
    for texts in _REGIMES:
        try:
            return theta(formula, Regime.of(*texts, implied=implied))
        except Undecided:
            continue
    return None


def shown_form(formula: Formula, values: Mapping[str, int], fixed: Mapping[str, int]) -> Readable:
    """The form of `formula` to read at `values`, and what it supposes beyond them ("": nothing)."""
    found = readable(_rewritten(formula, values, fixed, {}), model_regime(values), collect=True)
    decided = mapped(found.formula.tree, lambda call: _largest(call, values))
    if decided == found.formula.tree:
        return found
    again = readable(Formula.of_tree(decided), model_regime(values), collect=True)
    conditions = [found.regime, again.regime, "sizes like these, where this is the largest of several terms"]
    return Readable(again.formula, ", ".join(dict.fromkeys(filter(None, conditions))))


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


def _rewritten(
    formula: Formula, values: Mapping[str, int], fixed: Mapping[str, int], more: Mapping[str, str]
) -> Formula:
    """`formula` in fewer symbols: m = n and h_kv = h, h = d/d_h where d_h is fixed, and `more` definitions, each only
    where it holds at `values`.
    """
    definitions = {"m": "n", "h_kv": "h"} | dict(more)
    if "d_h" in fixed:
        definitions["h"] = f"d/{fixed['d_h']}"
    holding = {name: text for name, text in definitions.items() if _holds(name, text, values)}
    if "h" in holding and "h_kv" in holding:
        holding["h_kv"] = holding["h"]
    following = {name: text for name, text in holding.items() if name in formula.symbols}
    return formula.substitute(following) if following else formula


def _holds(name: str, definition: str, values: Mapping[str, int]) -> bool:
    formula = Formula(definition)
    return name in values and formula.symbols <= values.keys() and formula.evaluate(values) == values[name]


def _largest(call: t.Call, values: Mapping[str, int]) -> t.Node:
    """For a Min or Max, the argument that it equals at `values`."""
    if call.function not in ("Min", "Max"):
        return call
    pick = max if call.function == "Max" else min
    return pick(call.arguments, key=lambda argument: Formula.of_tree(argument).evaluate(values))
