"""tfcost: what transformer techniques cost, as formulas derived from the code that runs."""

__version__ = "0.1.0"
