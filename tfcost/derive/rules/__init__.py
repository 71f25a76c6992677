"""The rules for single torch operations. Importing this package registers all of them."""

from tfcost.derive.rules import matmul, movement, pointwise, reductions
from tfcost.derive.rules.registry import Amounts, Call, amounts_of, operation_name

__all__ = ["Amounts", "Call", "amounts_of", "matmul", "movement", "operation_name", "pointwise", "reductions"]
