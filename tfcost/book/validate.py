"""Checks of a whole record that reading it file by file does not make: symbols declared, no question answered twice."""

from collections.abc import Iterator

from tfcost.book.record import TechniqueRecord
from tfcost.cost import Cost
from tfcost.errors import UserError, nearest
from tfcost.formula import Formula
from tfcost.symbols import SYMBOLS


def check_record(record: TechniqueRecord) -> None:
    """UserError if a cost uses a symbol or option it does not declare, or if two costs answer the same question."""
    for index, cost in enumerate(record.costs):
        place = f"{record.technique}: costs[{index}]"
        _check_symbols(cost, place)
        _check_variant(cost, record, place)
        for other in record.costs[:index]:
            if _same_question(cost, other):
                raise UserError(f"{place}: answers the same question as an earlier cost")


def _check_symbols(cost: Cost, place: str) -> None:
    for formula in _formulas(cost):
        for name in sorted(formula.symbols - set(cost.symbols)):
            raise UserError(f"{place}: symbol '{name}' of {formula.text} is not declared{nearest(name, cost.symbols)}")
    for formula in cost.composition.values():
        for name in sorted(formula.symbols - set(cost.symbols) - SYMBOLS.keys()):
            raise UserError(f"{place}: there is no symbol '{name}', which {formula.text} uses")


def _formulas(cost: Cost) -> Iterator[Formula]:
    for quantity in cost.quantities.values():
        yield quantity.exact
        if quantity.readable is not None:
            yield quantity.readable
    for step in cost.steps:
        yield from step.amounts.values()
    for operation in cost.operations:
        yield from operation.amounts.values()


def _check_variant(cost: Cost, record: TechniqueRecord, place: str) -> None:
    """Options that the record declares have declared values; a cost may be told apart by others as well."""
    for name, value in cost.variant.items():
        if name in record.options and value not in record.options[name].values:
            raise UserError(f"{place}: {value} is not a declared value of option '{name}'")


def _same_question(one: Cost, other: Cost) -> bool:
    return (one.scope, one.pass_, one.variant, one.fixed) == (
        other.scope,
        other.pass_,
        other.variant,
        other.fixed,
    ) and bool(set(one.dtypes) & set(other.dtypes))
