"""The rules for single torch operations. Importing this package registers all of them."""

from tfcost.derive.rules import collectives, fused, matmul, movement, placing, pointwise, reductions, sorting
from tfcost.derive.rules.registry import Amounts, Call, amounts_of, operation_name

__all__ = ["Amounts", "Call", "amounts_of", "collectives", "fused", "matmul", "movement", "operation_name", "placing",
           "pointwise", "reductions", "sorting"]  # fmt: skip
