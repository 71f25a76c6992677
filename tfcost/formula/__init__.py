"""Exact formulas in a small grammar of their own: parsed, evaluated, substituted and rendered without any `eval`."""

from tfcost.formula.error import FormulaError
from tfcost.formula.formula import Formula

__all__ = ["Formula", "FormulaError"]
