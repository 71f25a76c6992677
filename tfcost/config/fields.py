"""The kinds of values that configurations have: counts as YAML writes them, names, and how errors show a value."""

from typing import Annotated, Any

from pydantic import BeforeValidator, StringConstraints, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from tfcost.errors import UserError
from tfcost.numbers import NUMBER_PATTERN, parse_count


def _count(value: Any, info: ValidationInfo) -> Any:
    """A whole number as YAML or the command line writes it (`16k`), an int as it is."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise PydanticCustomError("count", "expected a whole number, found {found}", {"found": shown(value)})
    try:
        return parse_count(str(value), info.field_name or "")
    except UserError as error:
        raise PydanticCustomError("count", "{message}", {"message": str(error)}) from error


def _count_or_zero(value: Any, info: ValidationInfo) -> Any:
    return 0 if value in ("0", 0) and not isinstance(value, bool) else _count(value, info)


def _schema(least: int) -> WithJsonSchema:
    number = {"type": "integer", "minimum": least}
    return WithJsonSchema({"anyOf": [number, {"type": "string", "pattern": NUMBER_PATTERN}]})


def _biases(value: Any) -> Any:
    if isinstance(value, bool) or value == "qkv":
        return value
    raise PydanticCustomError("choice", "expected true, false or qkv, found {found}", {"found": shown(value)})


Count = Annotated[int, BeforeValidator(_count), _schema(1)]
CountOrZero = Annotated[int, BeforeValidator(_count_or_zero), _schema(0)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Biases = Annotated[bool | str, BeforeValidator(_biases), WithJsonSchema({"enum": [False, True, "qkv"]})]


def shown(value: Any) -> str:
    """How an error shows a value of a file."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return "nothing" if value is None else f"'{value}'"


def problem(field: str, message: str) -> PydanticCustomError:
    """A complaint about how fields fit together, told at the line of `field`."""
    return PydanticCustomError("together", "{message}", {"message": message, "field": field})
