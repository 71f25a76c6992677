"""A contract against a derived cost: a finding if it is broken, or if nothing settles whether it holds."""

from collections.abc import Iterator, Mapping, Sequence

from tfcost.analysis.answer import total
from tfcost.analysis.polynomial import Monomial, monomial_tree
from tfcost.analysis.within import never_above
from tfcost.check.causes import causes_of_size
from tfcost.check.contract import SUMS, Contract
from tfcost.check.finding import Finding
from tfcost.check.parts import Key, Part, parts_of
from tfcost.check.samples import sample_sizes
from tfcost.check.sight import Sight
from tfcost.errors import UserError
from tfcost.formula import Formula
from tfcost.quantities import QUANTITIES

_TRIED = 400


def judge(target: str, contracts: Sequence[Contract], sights: Sequence[Sight]) -> Iterator[Finding]:
    """What `target`, derived in the passes of `sights`, breaks of `contracts`.

    UserError, with a caret, for a symbol that the target does not have, or a quantity that none of its passes has.
    """
    for contract in contracts:
        contract.check_symbols(set().union(*(sight.symbols for sight in sights)))
        asked = [sight for sight in sights if contract.pass_ in ("", sight.cost.pass_)]
        about = [(sight, formula) for sight in asked if (formula := _subject(contract, sight))]
        if not about:
            passes = ", ".join(sight.cost.pass_ for sight in sights)
            subject = f"{contract.pass_} {contract.quantity}".strip()
            raise UserError(f"contract '{contract.text}': {target} has no {subject} in the passes {passes}")
        for sight, formula in about:
            judged = _bound(target, contract, sight, formula) if contract.is_bound else (
                _class(target, contract, sight, formula))  # fmt: skip
            if judged is not None:
                yield judged


def _subject(contract: Contract, sight: Sight) -> Formula | None:
    """The formula that the contract speaks of."""
    names = SUMS.get(contract.quantity, (contract.quantity,))
    parts = [sight.cost.quantities[name].exact for name in names if name in sight.cost.quantities]
    return total(parts) if parts else None


def _class(target: str, contract: Contract, sight: Sight, formula: Formula) -> Finding | None:
    verdict = sight.within(formula, contract.formula)
    if verdict:
        return None
    found = sight.class_of(formula)
    place = _place(target, contract, sight)
    declared = f"Θ({contract.formula.pretty()})"
    if verdict is None or found is None:
        message = (
            f"{place} cannot be compared with {declared}: its class stays open; a 'regime' of the target may decide"
        )
        return _finding(target, contract, sight, message, allowed=None)
    message = f"{place} is {found.pretty()}, more than the {declared} of its contract"
    return _finding(target, contract, sight, message, allowed=contract.formula, weight=1000.0)


def _bound(target: str, contract: Contract, sight: Sight, formula: Formula) -> Finding | None:
    if contract.at or not contract.formula.symbols:
        return _bound_at(target, contract, sight, formula)
    place, declared = _place(target, contract, sight), contract.formula.pretty()
    spoken = contract.formula.symbols
    cost, limit = sight.spoken(formula, spoken), sight.spoken(contract.formula, spoken)
    names = sorted(cost.symbols | limit.symbols)
    for values in sample_sizes(names, _TRIED, contract.where):
        if not _possible(values, sight):
            continue
        try:
            found, most = cost.evaluate(values), limit.evaluate(values)
        except UserError:
            continue
        if found > most:
            at = ", ".join(f"{name}={values[name]}" for name in names)
            message = f"{place} is {sight.short(formula).pretty()}, more than {declared}: {found:,} > {most:,} at {at}"
            return _finding(target, contract, sight, message, weight=500.0)
    if _proven(cost, limit, contract, sight):
        return None
    message = f"{place} <= {declared} holds at {_TRIED} sizes, but is not shown for all of them"
    return Finding("contract", target, message, "warning", sight.cost.pass_, contract.quantity)


def _bound_at(target: str, contract: Contract, sight: Sight, formula: Formula) -> Finding | None:
    """The bound at given sizes; what it does not give, the target must (n also gives m, as everywhere)."""
    follows = {"m": contract.at["n"]} if "n" in contract.at and "m" in formula.symbols else {}
    given = {**sight.sizes, **sight.fixed, **follows, **contract.at}
    values = {**(sight.values if sight.is_technique else {}), **given}
    missing = sorted((formula.symbols | contract.formula.symbols) - values.keys())
    if missing:
        raise UserError(
            f"contract '{contract.text}': no size is given for {', '.join(missing)}; write at {missing[0]}=…"
        )
    found, limit = formula.evaluate(values), contract.formula.evaluate(values)
    if found <= limit:
        return None
    sizes = ", ".join(f"{name}={values[name]}" for name in sorted(formula.symbols))
    at = f" at {sizes}" if sizes else ""
    bound = contract.text[contract.offset :].split(" at ")[0].strip()
    unit = QUANTITIES[contract.quantity].unit
    message = f"{_place(target, contract, sight)} is {float(found):,.0f} {unit}{at}, more than {bound}"
    return _finding(
        target, contract, sight, message, weight=500.0 + min(float(found / limit), 400.0) if limit else 500.0
    )


def _possible(values: Mapping[str, int], sight: Sight) -> bool:
    """Whether the sizes are such as the target's regime speaks of."""
    return all(
        _value(constraint.greater, values) >= constraint.factor * _value(constraint.lesser, values) + constraint.margin
        for constraint in sight.regime.constraints
    )


def _value(monomial: Monomial, values: Mapping[str, int]) -> float:
    formula = Formula.of_tree(monomial_tree(monomial))
    return float(formula.evaluate({name: values.get(name, 1) for name in formula.symbols}))


def _proven(formula: Formula, limit: Formula, contract: Contract, sight: Sight) -> bool:
    """Whether the bound is shown for all sizes of the regime that meet the contract's conditions."""
    from tfcost.derive.integers.convert import NotAnInteger, from_sympy, to_sympy
    from tfcost.derive.integers.prove import is_nonnegative

    for divisor, name in contract.where:
        multiple = {name: Formula(f"{divisor}*{name}")}
        formula, limit = formula.substitute(multiple), limit.substitute(multiple)
    try:
        found, most = from_sympy(formula.sympy), from_sympy(limit.sympy)
        if is_nonnegative(most - found):
            return True
        # Rounding of what divides is gone in this form.
        formula = Formula.of(to_sympy(found))
    except NotAnInteger:
        pass
    return never_above(formula, limit, sight.regime)


def _place(target: str, contract: Contract, sight: Sight) -> str:
    return Finding("contract", target, "", pass_=sight.cost.pass_, quantity=contract.quantity).place


def _finding(
    target: str, contract: Contract, sight: Sight, message: str, allowed: Formula | None = None, weight: float = 0.0
) -> Finding:
    parts: dict[Key, Part] = {}
    for name in SUMS.get(contract.quantity, (contract.quantity,)):
        parts = _joined(parts, parts_of(sight, name))
    causes = causes_of_size(parts, sight, allowed)
    details = (f"contract: {contract.text}",)
    return Finding("contract", target, message, "error", sight.cost.pass_, contract.quantity, details, causes, weight)


def _joined(one: dict[Key, Part], two: dict[Key, Part]) -> dict[Key, Part]:
    """The parts of both; where an operation has a share in both, its amounts are added."""
    both = {key: Part(total([one[key].amount, two[key].amount]), two[key].sources) for key in one.keys() & two.keys()}
    return {**one, **two, **both}
