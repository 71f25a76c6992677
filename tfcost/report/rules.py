"""Which term rules a cost, in words and for JSON."""

from typing import Any

from tfcost.analysis.breakdown import Rule
from tfcost.analysis.dominance import Flip
from tfcost.analysis.polynomial import expand
from tfcost.formula import Formula
from tfcost.quantities import QUANTITIES
from tfcost.report.units import percent


def rule_sentences(rule: Rule, n: int) -> list[str]:
    """The largest term now, its share, whether n or d rules by it, and every change along n."""
    largest = rule.terms[0]
    what = f"{rule.scope}, {QUANTITIES[rule.quantity].label}"
    share = f"{largest.term.pretty()} ({percent(largest.share)})"
    now = f"{what}: at n = {n} the largest term is {share}{_ruler(largest.term)}"
    return [now, *(f"{what}: {_change(flip)}" for flip in rule.flips)]


def _change(flip: Flip) -> str:
    where = f"n = {flip.at}" if flip.closed.text == str(flip.at) else f"n = {flip.closed.pretty()} = {flip.at}"
    return f"from {where} on {flip.after.pretty()} is larger than {flip.before.pretty()}{_ruler(flip.after)}"


def _ruler(term: Formula) -> str:
    """Which of n and d has the higher power in a term: that one rules."""
    (monomial,) = expand(term.tree)
    powers = dict(monomial)
    n, d = powers.get("n", 0), powers.get("d", 0)
    if n == d:
        return ""
    return f": {'n' if n > d else 'd'} rules"


def rule_document(rule: Rule) -> dict[str, Any]:
    """One element of "dominance"."""
    return {
        "quantity": rule.quantity,
        "scope": rule.scope,
        "largest": rule.terms[0].term.text,
        "share": float(rule.terms[0].share),
        "flips": [
            {
                "symbol": flip.symbol,
                "at": flip.at,
                "before": flip.before.text,
                "after": flip.after.text,
                "formula": flip.closed.text,
            }
            for flip in rule.flips
        ],
    }
