"""Book file to `TechniqueRecord`: every value is checked for its kind, and read no earlier than it is needed."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from tfcost.book.field import Field
from tfcost.book.lazy import Lazy, LazyMapping
from tfcost.book.place import operations_path
from tfcost.book.record import SCHEMA_VERSION, Claim, Option, Provenance, TechniqueRecord
from tfcost.cost import AMOUNTS, Cost, Held, Moment, Operation, Quantity, Step, Transfer
from tfcost.errors import nearest
from tfcost.formula import Formula
from tfcost.quantities import QUANTITIES

ReadFormula = Callable[[Field], Formula]


def read_record(path: Path, check_formulas: bool = False) -> TechniqueRecord:
    """The record in the book file `path`. Costs and their operations are read when they are first looked at; with
    `check_formulas`, formulas are parsed then, else when they are first used.

    UserError, with file and key, for a file that is not a book file.
    """
    root = Field.of_file(path)
    version = root.at("schema_version").integer()
    if version != SCHEMA_VERSION:
        raise root.error(f"schema_version {version} is not {SCHEMA_VERSION}, the one this tfcost reads")
    formula = Field.checked_formula if check_formulas else Field.formula
    technique, implementation = root.at("technique").text(), root.at("implementation").text()
    details = cache(lambda: Field.of_file(operations_path(path)))
    return TechniqueRecord(
        technique=technique,
        title=root.at("title").text(),
        section=root.at("section").text(),
        implementation=implementation,
        summary=root.at("summary").text(),
        options={name: _option(entry) for name, entry in root.at("options").items()},
        defaults=_integers(root.at("defaults")),
        claims=tuple(_claim(entry, formula) for entry in root.at("claims").elements()),
        provenance=_provenance(root.at("provenance")),
        costs=root.at("costs").lazily(lambda entry: _cost(entry, technique, implementation, details, formula)),
    )


def _option(entry: Field) -> Option:
    values = tuple(value.choice() for value in entry.at("values").elements())
    default = entry.at("default").choice()
    if default not in values:
        raise entry.error(f"the default {default} is not among the values")
    return Option(values, default, entry.at("meaning").text())


def _claim(entry: Field, formula: ReadFormula) -> Claim:
    ratio = tuple(formula(bound) for bound in entry.get("ratio", []).elements())
    if len(ratio) not in (0, 2):
        raise entry.error("a ratio is two numbers, the least and the greatest")
    return Claim(
        section=entry.at("section").text(),
        quantity=entry.at("quantity").text(),
        formula=formula(entry.at("formula")),
        quote=entry.at("quote").text(),
        step=entry.get("step", "").text(),
        ratio=(ratio[0], ratio[1]) if ratio else None,
        against={name: value.choice() for name, value in entry.get("against", {}).items()},
        than=entry.get("than", "").text(),
    )


def _provenance(entry: Field) -> Provenance:
    return Provenance(_texts(entry.at("sources")), _texts(entry.at("versions")))


def _cost(
    entry: Field, technique: str, implementation: str, details: Callable[[], Field], formula: ReadFormula
) -> Cost:
    memory = entry.get("memory", {})
    return Cost(
        technique=technique,
        implementation=implementation,
        scope=entry.at("scope").text(),
        pass_=entry.at("pass").text(),
        dtypes=entry.at("dtypes").texts(),
        variant={name: value.choice() for name, value in entry.at("variant").items()},
        fixed=_integers(entry.at("fixed")),
        symbols=entry.at("symbols").texts(),
        quantities=_quantities(entry.at("quantities"), formula),
        steps=entry.at("steps").lazily(
            lambda step: Step(step.at("name").text(), _amounts(step.at("amounts"), formula))
        ),
        operations=_operations(entry.at("operations"), details, formula),
        assumptions=entry.at("assumptions").texts(),
        workspace=entry.at("workspace").texts(),
        composition=_composition(entry.get("composition", {}), formula),
        communication=entry.get("communication", []).lazily(lambda one: _transfer(one, formula)),
        moments=memory.get("moments", []).lazily(lambda moment: _moment(moment, formula)),
        saved=memory.get("saved", []).lazily(lambda held: _held(held, formula)),
    )


def _operations(entry: Field, details: Callable[[], Field], formula: ReadFormula) -> Lazy[Operation]:
    """The operations of a cost, from their own file when the first is looked at."""
    place, length = entry.at("list").integer(), entry.at("length").integer()

    @cache
    def found() -> Sequence[Operation]:
        root = details()
        listed = root.at("operations").item(place)
        operations = listed.lazily(lambda operation: _operation(operation, root.at("lines"), formula))
        if len(operations) != length:
            raise listed.error(f"{len(operations)} operations where the technique's file counts {length}")
        return operations

    return Lazy(length, lambda index: found()[index])


def _quantities(entry: Field, formula: ReadFormula) -> Mapping[str, Quantity]:
    """The quantities in the order of the one table, whatever their order in the file."""
    found = dict(entry.items())
    for name in found:
        if name not in QUANTITIES:
            raise entry.error(f"no quantity is called '{name}'{nearest(name, QUANTITIES)}")
    return LazyMapping([name for name in QUANTITIES if name in found], lambda name: _quantity(found[name], formula))


def _composition(entry: Field, formula: ReadFormula) -> Mapping[str, Formula]:
    found = dict(entry.items())
    return LazyMapping(list(found), lambda name: formula(found[name]))


def _quantity(entry: Field, formula: ReadFormula) -> Quantity:
    readable = entry.get("readable", None)
    return Quantity(
        exact=formula(entry.at("exact")),
        provenance=entry.at("provenance").text(),
        readable=None if readable.value is None else formula(readable),
        regime=entry.get("regime", "").text(),
        note=entry.get("note", "").text(),
    )


def _operation(entry: Field, lines: Field, formula: ReadFormula) -> Operation:
    location = entry.at("location").text()
    return Operation(
        name=entry.at("name").text(),
        step=entry.at("step").text(),
        location=location,
        code=lines.get(location, "").text(),
        amounts=_amounts(entry.at("amounts"), formula),
        launch=entry.get("launch", "").text(),
        launches=entry.get("launches", 1).integer(),
    )


def _transfer(entry: Field, formula: ReadFormula) -> Transfer:
    collective, group = entry.at("collective").text(), entry.at("group").text()
    return Transfer(collective, group, formula(entry.at("bytes")), formula(entry.at("calls")))


def _moment(entry: Field, formula: ReadFormula) -> Moment:
    held = entry.at("held").lazily(lambda one: _held(one, formula))
    return Moment(formula(entry.at("total")), held)


def _held(entry: Field, formula: ReadFormula) -> Held:
    name, step, location, code = (entry.at(key).text() for key in ("name", "step", "location", "code"))
    return Held(name, step, location, code, formula(entry.at("bytes")))


def _amounts(entry: Field, formula: ReadFormula) -> dict[str, Formula]:
    found = {name: formula(value) for name, value in entry.items()}
    for name in found:
        if name not in AMOUNTS:
            raise entry.error(f"no amount is called '{name}'{nearest(name, AMOUNTS)}")
    return {name: found[name] for name in AMOUNTS if name in found}


def _integers(entry: Field) -> Mapping[str, int]:
    return {name: value.integer() for name, value in entry.items()}


def _texts(entry: Field) -> Mapping[str, str]:
    return {name: value.text() for name, value in entry.items()}
