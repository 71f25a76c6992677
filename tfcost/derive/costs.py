"""Turns traces into `Cost` records: sums per operation, step and pass, in the symbols of the table.

One trace of torch code serves every width of the run's dtype (the width is a symbol until here); a trace that
converted between dtypes, or launched a Triton kernel, is repeated per width.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import sympy as sp
import torch

from tfcost.cost import AMOUNTS, Cost, Held, Moment, Operation, Quantity, Step, Transfer
from tfcost.derive.labels import Label
from tfcost.derive.loops import repeated
from tfcost.derive.means import Meanings, check_linear, uses
from tfcost.derive.memory import Held as HeldStorage
from tfcost.derive.memory import undominated
from tfcost.derive.pairs import count_pairs
from tfcost.derive.sampled import part_traced_or_sampled, traced_or_sampled
from tfcost.derive.sizes import ELEMENT, size_symbol
from tfcost.derive.subject import Subject
from tfcost.derive.substitute import OPAQUE, substituted
from tfcost.derive.technique import Technique, Variant
from tfcost.derive.tiled import tiled_costs
from tfcost.derive.trace import PassTrace, trace_backward, trace_forward, trace_part
from tfcost.derive.tracer import Record
from tfcost.formula import Formula

# Run dtype -> the dtypes its formulas hold for. Half-precision widths agree to the byte.
_WIDTHS: tuple[tuple[str, ...], ...] = (("bfloat16", "float16"), ("float32",))


@dataclass(frozen=True, slots=True)
class _Terms:
    """Rewrites traced expressions: the element width becomes a number, auxiliary sizes the table's symbols."""

    replacements: tuple[tuple[sp.Expr, sp.Expr], ...]
    declared: Meanings = ()

    def rewrite(self, expression: sp.Expr) -> sp.Expr:
        for symbol, meaning in (*self.declared, *self.replacements):
            if expression.has(symbol):
                expression = substituted(expression, {symbol: meaning})
        return expression if expression.has(*OPAQUE) else sp.expand(expression)

    def formula(self, expression: sp.Expr) -> Formula:
        return Formula.of(self.rewrite(expression))

    def peak(self, candidates: Iterable[sp.Expr]) -> sp.Expr:
        """The maximum of the candidates. Dominance is decided in the traced sizes, all of which are >= 1."""
        width = dict(self.replacements[:1])
        kept = undominated(candidate.xreplace(width) for candidate in candidates)
        return sp.Max(*(self.rewrite(candidate) for candidate in kept), evaluate=False)


def derive_variant(technique: Technique, variant: Variant, device: str = "cuda") -> Iterator[Cost]:
    """All costs of one variant: every pass and dtype, with the kernels' workspace on `device` ("cuda" or "cpu")."""
    waiting = [width for width in _WIDTHS if set(width) & set(variant.dtypes)]
    while waiting:
        widths = waiting[:1]
        dtype = getattr(torch, widths[0][0])
        traces = _trace(variant, dtype, device)
        if all(trace.any_width for trace in traces.values()):
            widths = waiting
        for width in widths:
            names = tuple(name for name in width if name in variant.dtypes)
            yield from _costs(technique, variant, traces, names)
        waiting = waiting[len(widths) :]


def _trace(variant: Variant, dtype: torch.dtype, device: str) -> dict[str, PassTrace]:
    forward = partial(trace_forward, dtype=dtype, device=device)
    backward = partial(trace_backward, dtype=dtype, device=device)
    traces: dict[str, PassTrace] = {}
    if variant.part and variant.backward:
        both = partial(trace_part, dtype=dtype, device=device)
        traces["forward"], traces["backward"] = part_traced_or_sampled(variant.subject, both)
    if not variant.training:
        traces["forward"] = traced_or_sampled(variant.subject, forward)
    if variant.repeat is not None:
        traces["forward"] = repeated(traces["forward"], variant.repeat)
    if variant.backward and not variant.part:
        traces["backward"] = traced_or_sampled(variant.subject, backward)
    if variant.reference is not None:
        traces |= _reference_traces(variant.reference, variant.backward)
    return traces


# Kept with the traces, so that a subject's identity is not taken by another one.
_references: dict[int, tuple[Subject, dict[str, PassTrace]]] = {}


def _reference_traces(reference: Subject, backward: bool) -> dict[str, PassTrace]:
    """The passes of a reference, for its matmul FLOPs, which no dtype changes. Variants share references."""
    if id(reference) not in _references:
        traces = {"reference forward": trace_forward(reference, torch.bfloat16)}
        if backward:
            traces["reference backward"] = trace_backward(reference, torch.bfloat16)
        _references[id(reference)] = reference, traces
    return _references[id(reference)][1]


def _costs(
    technique: Technique, variant: Variant, traces: Mapping[str, PassTrace], dtypes: tuple[str, ...]
) -> Iterator[Cost]:
    width = sp.Integer(getattr(torch, dtypes[0]).itemsize)
    meanings = ((size_symbol(name), Formula(text).sympy) for name, text in variant.substitutions)
    # A reference may keep as symbols what the variant fixes.
    fixed = ((size_symbol(name), sp.Integer(value)) for name, value in variant.subject.fixed.items())
    declared = tuple((Formula(text).sympy, Formula(mean).sympy) for text, mean in variant.declared)
    terms = _Terms(((ELEMENT, width), *meanings, *fixed), declared)
    for pass_ in ("forward", "backward"):
        if pass_ in traces:
            yield _cost(technique, variant, traces, pass_, dtypes, terms)


def _cost(
    technique: Technique, variant: Variant, traces: Mapping[str, PassTrace], pass_: str, dtypes: tuple[str, ...],
    terms: _Terms,
) -> Cost:  # fmt: skip
    trace = traces[pass_]
    ideal = traces.get(f"reference {pass_}", trace)
    check_linear((getattr(record, name) for record in trace.records for name in AMOUNTS), terms.declared)
    quantities = _quantities(trace, ideal, variant, terms)
    operations = _operations(trace.records, terms)
    used = [quantity.exact for quantity in quantities.values()]
    used += [amount for operation in operations for amount in operation.amounts.values()]
    symbols = sorted({name for formula in used for name in formula.symbols})
    composition = _composition(traces, pass_, terms) if variant.part else {}
    if variant.tiled and pass_ == "forward":
        composition |= tiled_costs(variant.tiled, getattr(torch, dtypes[0]))
    return Cost(
        technique=technique.name,
        implementation=technique.implementation,
        scope=variant.scope,
        pass_=variant.forward if pass_ == "forward" else pass_,
        dtypes=dtypes,
        variant=dict(variant.options),
        fixed={name: value for name, value in variant.subject.fixed.items() if name in _TABLE_SIZES},
        symbols=tuple(symbols),
        quantities=quantities,
        steps=_steps(trace.records, terms),
        operations=operations,
        assumptions=(*variant.assumptions, *trace.notes),
        workspace=trace.workspace,
        composition=composition,
        communication=_communication(trace.records, terms),
        moments=_moments(trace, terms),
        saved=_held(trace.saved, terms),
    )


# Sizes a caller can give; auxiliary ones that a variant fixes (one query head per key head) are its own affair.
_TABLE_SIZES = frozenset({"d_h", "n", "m", "h", "h_kv", "b", "c", "w", "g", "k", "E", "f"})


def _quantities(trace: PassTrace, ideal: PassTrace, variant: Variant, terms: _Terms) -> dict[str, Quantity]:
    how = trace.provenance
    counted = "interpolated" if how == "interpolated" else "traced"

    def total(get: Callable[[Record], sp.Expr]) -> Quantity:
        amount = sp.Add(*(get(record) for record in trace.records))
        return Quantity(terms.formula(amount), "declared" if uses(amount, terms.declared) else how)

    found = {
        "algorithmic_flops": Quantity(_algorithmic_flops(ideal, variant, terms), "summed" if variant.mask else how),
        "matmul_flops": total(lambda record: record.matmul_flops),
        "scalar_flops": total(lambda record: record.scalar_flops),
        "issued_bytes": total(lambda record: record.read_bytes + record.write_bytes),
        "unique_bytes": Quantity(terms.formula(trace.unique_bytes), counted),
        "peak_bytes": Quantity(Formula.of(terms.peak(trace.peak)), counted),
    }
    if any(record.group for record in trace.records):
        found["communicated_bytes"] = total(lambda record: record.communicated_bytes)
    if trace.saved_bytes is not None:
        found["saved_bytes"] = Quantity(terms.formula(trace.saved_bytes), counted)
    if trace.parameters != 0:
        found["parameters"] = Quantity(terms.formula(trace.parameters), counted)
        found["parameter_bytes"] = Quantity(terms.formula(trace.parameter_bytes), counted)
    if trace.sram_bytes:
        found["sram_bytes"] = Quantity(Formula.of(sp.Max(*trace.sram_bytes)), "ttir")
    return found


def _algorithmic_flops(ideal: PassTrace, variant: Variant, terms: _Terms) -> Formula:
    """The reference's matmul FLOPs, over all turns of a loop."""
    flops = _of_one_turn(ideal, variant, terms)
    # A trace without a reference of its own is that of all turns already.
    return Formula.of(variant.repeat.total(flops) if variant.repeat and variant.reference else flops)


def _of_one_turn(ideal: PassTrace, variant: Variant, terms: _Terms) -> sp.Expr:
    """Matmul FLOPs; in masked steps, only for the allowed share of the n·m pairs."""
    mask = variant.mask
    if mask is None:
        return terms.rewrite(sp.Add(*(record.matmul_flops for record in ideal.records)))
    n, m = size_symbol(mask.queries), size_symbol(mask.keys)
    sizes = {name: size_symbol(name) for name in mask.sizes}
    pairs = terms.rewrite(count_pairs(partial(mask.predicate, **sizes), n, m))
    masked = sp.Add(*(r.matmul_flops for r in ideal.records if r.label.step in mask.steps))
    others = sp.Add(*(r.matmul_flops for r in ideal.records if r.label.step not in mask.steps))
    return sp.expand(sp.cancel(terms.rewrite(masked) / (n * m)) * pairs + terms.rewrite(others))


def _amounts(records: Iterable[Record], terms: _Terms) -> dict[str, Formula]:
    listed = list(records)
    totals = {name: sp.Add(*(getattr(record, name) for record in listed)) for name in AMOUNTS}
    return {name: terms.formula(total) for name, total in totals.items() if total != 0}


def _steps(records: Iterable[Record], terms: _Terms) -> tuple[Step, ...]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.label.step or "other", []).append(record)
    return tuple(Step(name, _amounts(group, terms)) for name, group in groups.items())


def _operations(records: Iterable[Record], terms: _Terms) -> tuple[Operation, ...]:
    """One entry per distinct operation; equal ones of the same line are added up."""
    groups: dict[Any, list[Record]] = {}
    for record in records:
        key = (record.label, record.name, record.group, record.launch, *(getattr(record, name) for name in AMOUNTS))
        groups.setdefault(key, []).append(record)
    return tuple(
        Operation(
            name=_operation_name(group[0]), step=group[0].label.step or "other", location=group[0].label.location,
            code=group[0].label.code, amounts=_amounts(group, terms), launch=group[0].launch,
            launches=sum(record.launches for record in group),
        )
        for group in groups.values()
    )  # fmt: skip


def _operation_name(record: Record) -> str:
    return f"{record.name} over {record.group}" if record.group else record.name


def _communication(records: Iterable[Record], terms: _Terms) -> tuple[Transfer, ...]:
    """What each kind of collective is given over each group of GPUs, in order of first appearance."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.communicated_bytes != 0:
            groups.setdefault((record.name, record.group), []).append(record)
    return tuple(
        Transfer(
            name.rpartition(".")[2].rstrip("_"), group, terms.formula(sp.Add(*(r.communicated_bytes for r in found))),
            terms.formula(sp.Add(*(r.collectives for r in found))),
        )
        for (name, group), found in groups.items()
    )  # fmt: skip


def _moments(trace: PassTrace, terms: _Terms) -> tuple[Moment, ...]:
    return tuple(
        Moment(terms.formula(candidate), _held(trace.held[candidate], terms))
        for candidate in trace.peak
        if candidate in trace.held
    )


def _held(storages: Iterable[HeldStorage], terms: _Terms) -> tuple[Held, ...]:
    """One entry per operation and source line, in order of first appearance."""
    groups: dict[tuple[Label, str], list[sp.Expr]] = {}
    for one in storages:
        groups.setdefault((one.label, one.name), []).append(one.size)
    return tuple(
        Held(
            name=name, step=label.step or "other", location=label.location if label.path else "", code=label.code,
            bytes=terms.formula(sp.Add(*sizes)),
        )
        for (label, name), sizes in groups.items()
    )  # fmt: skip


def _composition(traces: Mapping[str, PassTrace], pass_: str, terms: _Terms) -> dict[str, Formula]:
    """What a chain needs to know of this part: its inference peak above what it was given, and see `trace_part`."""
    if pass_ == "backward":
        return {name: Formula.of(terms.peak(candidates)) for name, candidates in traces["backward"].extra.items()}
    trace = traces["forward"]
    above = (sp.expand(peak - trace.given_bytes) for peak in trace.peak)
    given = {"given_bytes": trace.given_bytes, "input_bytes": trace.input_bytes}
    return {**{name: terms.formula(size) for name, size in given.items()}, "local_bytes": Formula.of(terms.peak(above))}
