"""What single operations are filed as: the records of a trace, and their totals at given sizes."""

from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp
import torch
from oracles.evaluation import evaluate

from tfcost.derive.sizes import ELEMENT
from tfcost.derive.subject import Subject, Tensor
from tfcost.derive.trace import trace_forward
from tfcost.derive.tracer import Record

Function = Callable[..., Any]


def records(function: Function, *shapes: str, sizes: tuple[str, ...] = (), dtypes: Sequence[Any] = ()) -> list[Record]:
    """What `function(a, b, ...)` is filed as, with arguments of these shapes and (None: the run's) dtypes."""
    kinds = [*dtypes, *([None] * (len(shapes) - len(dtypes)))]
    arguments = {name: Tensor(shape, dtype=kind) for name, shape, kind in zip("abcdefg", shapes, kinds, strict=False)}
    subject = Subject(lambda **tensors: function(*tensors.values()), arguments, sizes)
    return list(trace_forward(subject, torch.float32, "cpu").records)


def total(found: list[Record], amount: str, **values: int) -> int:
    """The amount of all records, at sizes and 4-byte elements."""
    expression = sp.Add(*(getattr(record, amount) for record in found)).xreplace({ELEMENT: sp.Integer(4)})
    result = evaluate(expression, values)
    assert result == int(result)
    return int(result)
