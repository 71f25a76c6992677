"""tfcost: what transformer techniques cost, as formulas derived from the code that runs."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tfcost.check.mark import contract as contract


def __getattr__(name: str) -> Any:
    """`tfcost.contract`, loaded when it is asked for."""
    if name == "contract":
        from tfcost.check.mark import contract

        return contract
    raise AttributeError(f"module 'tfcost' has no attribute '{name}'")
