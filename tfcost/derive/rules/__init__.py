"""The rules for single torch operations. Importing this package registers all of them."""

from tfcost.derive.rules import fused, matmul, movement, placing, pointwise, reductions, sorting
from tfcost.derive.rules.registry import Amounts, Call, amounts_of, operation_name

__all__ = ["Amounts", "Call", "amounts_of", "fused", "matmul", "movement", "operation_name", "placing", "pointwise",
           "reductions", "sorting"]  # fmt: skip
