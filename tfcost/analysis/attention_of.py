"""The attention inside a layer or a block: its cost in; the core's costs for more keys than queries, and the rest, out.

A layer is derived with as many keys as queries. Its core is derived for any number of keys, and is found by its name;
that the layer contains this very core is checked step by step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from tfcost.analysis import polynomial as poly
from tfcost.analysis.conditions import require
from tfcost.analysis.portions import Sizes, is_token_wise, steps_where
from tfcost.book import SITUATIONS, Book
from tfcost.book.record import OptionValue
from tfcost.cost import Cost, Step
from tfcost.errors import UserError
from tfcost.formula import Formula

_DECODING, _CACHE_STEP = "decoder-attention", "cache"
_LOOKED_AT = (1, 2, 63, 64, 65, 127, 128, 129, 255, 513, 1000, 4096, 16385)


@dataclass(frozen=True, slots=True)
class Attention:
    """The attention in a cost: `core` finds its cost for so many queries and keys; `outside` are the other steps.

    `cache` is the cost of writing the keys and values of one token, None for a core alone, or where `notes` say so.
    """

    core: Callable[[int, int], Cost]
    outside: tuple[str, ...]
    cache: Cost | None
    notes: tuple[str, ...] = ()


def attention_of(cost: Cost, values: Mapping[str, int], dtype: str, book: Book) -> Attention | None:
    """The attention in `cost`, which runs at `values`; None if there is none in it, and every token goes by itself.

    UserError if it is not causal, or if its steps are not those of a core that has formulas of its own.
    """
    name = str(cost.variant.get("attention", cost.technique))
    if cost.scope != "core" and not (name in book.names and any(c.scope == "core" for c in book.record(name).costs)):
        if cost.scope != "part" and len(steps_where(cost, is_token_wise)) < len(cost.steps):
            raise _no_formula(cost, "it has no core of its own")
        return None
    record = book.record(name)
    variant = {key: cast(OptionValue, value) for key, value in cost.variant.items() if key not in SITUATIONS}
    if "causal" in record.options:
        variant.setdefault("causal", True)
        if not variant["causal"]:
            raise UserError(f"{name}: chunks need causal attention, in which no token sees later ones: --causal")

    def core(queries: int, keys: int) -> Cost:
        sizes = {**values, "n": queries, "m": keys}
        try:
            found = book.find(name, scope="core", pass_="forward", dtype=dtype, variant=variant, values=sizes)
        except UserError:
            raise UserError(f"{name}: no formula for attention of {queries} queries to {keys} keys") from None
        require(found.assumptions, sizes, name)
        return found

    if cost.scope == "core":
        return Attention(core, (), None)
    inside = {step.name: step for step in core(values["n"], values["n"]).steps}
    for step in cost.steps:
        if step.name in inside and not _same(step, inside[step.name], values):
            raise _no_formula(cost, f"'{step.name}' is not that of {name}")
    missing = inside.keys() - {step.name for step in cost.steps}
    if missing:
        raise _no_formula(cost, f"no step '{min(missing)}' as in {name}")
    outside = tuple(step.name for step in cost.steps if step.name not in inside)
    alone = steps_where(cost, _is_of_single_tokens)
    for name_ in outside:
        if name_ not in alone:
            raise _no_formula(cost, f"'{name_}' is not of single tokens")
    cache, notes = _cache(values, dtype, book)
    return Attention(core, outside, cache, notes)


def _is_of_single_tokens(formula: Formula) -> bool:
    """Whether `formula` grows with the queries as they are counted: what looks at pairs of tokens does not."""
    terms = poly.expand(formula.substitute({"m": "n"}).tree)
    powers = [dict(monomial).get("n", 0) for monomial in terms]
    rounded = any("n" in poly.names({frozenset([(atom, 1)]): 1}) for m in terms for atom, _ in m if atom != "n")
    return not rounded and all(power in (0, 1) for power in powers)


def _no_formula(cost: Cost, reason: str) -> UserError:
    return UserError(f"{cost.technique}: no formula for attention in chunks: {reason}")


def _same(step: Step, other: Step, values: Sizes) -> bool:
    """Whether two steps cost the same where there are as many keys as queries: at lengths around tiles and far off."""
    places = [{**values, "n": n, "m": n} for n in _LOOKED_AT]
    return step.amounts.keys() == other.amounts.keys() and all(
        amount.evaluate(place) == other.amounts[name].evaluate(place)
        for name, amount in step.amounts.items()
        for place in places
    )


def _cache(values: Mapping[str, int], dtype: str, book: Book) -> tuple[Cost | None, tuple[str, ...]]:
    """What a decode step does to put the key and value of one token into the cache."""
    bare = {"norm_kind": "layer", "norm": "none", "rope": "none"}
    try:
        found = book.find(_DECODING, scope="block", pass_="decode", dtype=dtype, variant=bare, values=values)
    except UserError as error:
        return None, (f"without what writing keys and values to the cache costs ({error})",)
    return replace(
        found,
        steps=tuple(step for step in found.steps if step.name == _CACHE_STEP),
        operations=tuple(one for one in found.operations if one.step == _CACHE_STEP),
    ), ()
