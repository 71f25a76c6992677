"""A training step of L equal layers out of the costs of one: what was traced once, put in a chain with L a symbol.

In: the costs of a layer as a link of a chain (`trace_part`), one that keeps everything and one that keeps its input.
Out: a `Cost` of scope "stack" and pass "train". As nobody else holds a layer's input or output, the memory alive at any
moment is a sum over layers; what grows or shrinks from layer to layer does so evenly, so the first and the last of them
stand for all.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import sympy as sp

from tfcost.cost import CHECKPOINTED_ACTIVATIONS, CHECKPOINTED_PEAK, Cost, Operation, Quantity, Step
from tfcost.derive.errors import DerivationError
from tfcost.derive.labels import RECOMPUTED
from tfcost.derive.memory import undominated
from tfcost.derive.sizes import size_symbol
from tfcost.formula import Formula
from tfcost.formula import tree as t
from tfcost.quantities import QUANTITIES

LAYERS, SPACING = size_symbol("L"), size_symbol("s")
_ADDED = ("matmul_flops", "scalar_flops", "issued_bytes")


@dataclass(frozen=True, slots=True)
class Layer:
    """The two passes of one layer."""

    forward: Cost
    backward: Cost

    def size(self, name: str) -> sp.Expr:
        """One of the sizes of `trace_part` that is a single expression."""
        return self.backward.composition[name].sympy

    def rise(self, name: str) -> Formula:
        """How far memory rises in a pass above where it began (`forward_local_bytes`, `backward_local_bytes`)."""
        return self.backward.composition[name]


@dataclass(frozen=True, slots=True)
class _Run:
    """Steps and operations that are done `count` times, with `suffix` added to their steps' names."""

    steps: Sequence[Step]
    operations: Sequence[Operation]
    count: sp.Expr
    suffix: str = ""


def chained(layer: Layer, variant: Mapping[str, object]) -> Cost:
    """L layers, each of which keeps for its backward pass what `layer` keeps."""
    kept, others = layer.size("saved_bytes"), LAYERS - 1
    up, down = layer.rise("forward_local_bytes"), layer.rise("backward_local_bytes")
    moments = [
        (others * kept + layer.size("input_bytes"), up),
        (LAYERS * kept + layer.size("output_bytes"), down),
        (kept + layer.size("output_bytes") + others * layer.size("gradient_bytes"), down),
    ]
    amounts = {name: LAYERS * (_of(layer.forward, name) + _of(layer.backward, name)) for name in _ADDED}
    runs = (_Run(layer.forward.steps, layer.forward.operations, LAYERS), *_backward(layer.backward, LAYERS, LAYERS))
    return _cost(layer, layer, variant, amounts, runs, moments, LAYERS * kept)


def checkpointed(kept: Layer, recomputed: Layer, spacing: sp.Expr, variant: Mapping[str, object]) -> Cost:
    """L layers in segments of `spacing` (s, or 1), of which the forward pass leaves the input alone.

    `kept` is a layer that keeps everything, `recomputed` one that is a segment of its own: it is also the last layer of
    a longer one, the only one where recomputing ends early. Raises `DerivationError` where a longer segment has its
    highest moment elsewhere.
    """
    segments = LAYERS / spacing
    _check_inner_moments(kept, recomputed)
    moments = _segment_moments(kept, recomputed, spacing)
    amounts = {
        name: LAYERS * (_of(kept.forward, name) + _of(kept.backward, name))
        + (LAYERS - segments) * _of(kept.forward, name)
        + segments * (_of(recomputed.backward, name) - _of(kept.backward, name))
        for name in _ADDED
    }
    runs = (
        _Run(kept.forward.steps, kept.forward.operations, LAYERS),
        _Run(kept.forward.steps, kept.forward.operations, sp.expand(LAYERS - segments), RECOMPUTED),
        *_backward(recomputed.backward, LAYERS, segments),
    )
    cost = _cost(kept, recomputed, variant, amounts, runs, moments, segments * recomputed.size("saved_bytes"))
    by_spacing = {
        CHECKPOINTED_ACTIVATIONS: _raised(*_end_of_segment(kept, recomputed, SPACING, LAYERS / SPACING - 1)),
        CHECKPOINTED_PEAK: _peak(recomputed, _segment_moments(kept, recomputed, SPACING)),
    }
    divides = () if spacing == 1 else (f"{spacing} divides {LAYERS}", f"{spacing} <= {LAYERS}")
    return replace(cost, assumptions=(*cost.assumptions, *divides), composition=by_spacing)


_Moment = tuple[sp.Expr, Formula]
"""What is alive, without the weights, when a pass of a layer begins, and how far that rises."""


def _segment_moments(kept: Layer, recomputed: Layer, spacing: sp.Expr) -> list[_Moment]:
    """The first and the last layer to go backward, of the first and the last segment to do so; and the forward pass."""
    before = LAYERS / spacing - 1
    checkpoints, gradients = before * recomputed.size("saved_bytes"), kept.size("gradient_bytes")
    first_layer = kept.size("saved_bytes") + kept.size("output_bytes")
    down = kept.rise("backward_local_bytes")
    end, rise = _end_of_segment(kept, recomputed, spacing, sp.Integer(0))
    return [
        (checkpoints + recomputed.size("input_bytes"), recomputed.rise("forward_local_bytes")),
        (checkpoints + end, rise),
        (checkpoints + first_layer + (spacing - 1) * gradients, down),
        (end + (LAYERS - spacing) * gradients, rise),
        (first_layer + (LAYERS - 1) * gradients, down),
    ]


def _end_of_segment(kept: Layer, recomputed: Layer, spacing: sp.Expr, before: sp.Expr) -> _Moment:
    """The last layer of a segment with `before` others before it: the other layers of the segment are computed, the
    last one is computed again and goes backward.
    """
    others = before * recomputed.size("saved_bytes") + (spacing - 1) * kept.size("saved_bytes")
    alive = others + recomputed.size("input_bytes") + recomputed.size("output_bytes")
    return alive, recomputed.rise("backward_local_bytes")


def _check_inner_moments(kept: Layer, recomputed: Layer) -> None:
    """Raises `DerivationError` unless a segment of several layers is never higher while it computes a layer before its
    last one, forward or again, than at its end. A segment of one layer has no such moment.
    """
    saved, output = kept.size("saved_bytes"), recomputed.size("output_bytes")
    end = [saved + output + up for up in _candidates(recomputed.rise("backward_local_bytes"))]
    inner = [recomputed.size("saved_bytes") + up for up in _candidates(recomputed.rise("forward_local_bytes"))]
    inner += [output + up for up in _candidates(kept.rise("forward_local_bytes"))]
    end, inner = [sp.expand(moment) for moment in end], [sp.expand(moment) for moment in inner]
    if not set(undominated([*end, *inner])) <= set(end):
        raise DerivationError("a segment of several layers may need most memory before its last one is computed again")


def _backward(cost: Cost, layers: sp.Expr, recomputed: sp.Expr) -> Iterator[_Run]:
    """A backward pass: its own operations and, counted apart, those that it does again."""
    for count, again in ((layers, False), (recomputed, True)):
        steps = [step for step in cost.steps if step.name.endswith(RECOMPUTED) == again]
        operations = [one for one in cost.operations if one.step.endswith(RECOMPUTED) == again]
        yield _Run(steps, operations, count, "" if again else ", backward")


def _cost(
    kept: Layer, layer: Layer, variant: Mapping[str, object], amounts: Mapping[str, sp.Expr], runs: Iterable[_Run],
    moments: Iterable[_Moment], saved: sp.Expr,
) -> Cost:  # fmt: skip
    """The whole: `kept` does what the mathematics asks for, once; `layer` is what the stack is made of."""
    runs = [run for run in runs if run.count != 0]
    asked = _of(kept.forward, "algorithmic_flops") + _of(kept.backward, "algorithmic_flops")
    sums = {
        "algorithmic_flops": LAYERS * asked,
        **amounts,
        "saved_bytes": saved,
        "parameters": LAYERS * _of(layer.forward, "parameters"),
        "parameter_bytes": LAYERS * _of(layer.forward, "parameter_bytes"),
    }
    formulas = {name: _formula(total) for name, total in sums.items()} | {"peak_bytes": _peak(layer, moments)}
    passes = (kept.forward, layer.backward)
    return replace(
        layer.forward,
        scope="stack",
        pass_="train",
        variant=variant,
        symbols=tuple(sorted({name for formula in formulas.values() for name in formula.symbols})),
        quantities={name: Quantity(formulas[name], "summed") for name in QUANTITIES if name in formulas},
        steps=_steps(runs),
        operations=[_counted(operation, run) for run in runs for operation in run.operations],
        assumptions=tuple(dict.fromkeys(text for cost in passes for text in cost.assumptions)),
        workspace=tuple(dict.fromkeys(text for cost in passes for text in cost.workspace)),
        composition={},
    )


def _of(cost: Cost, quantity: str) -> sp.Expr:
    return cost.quantities[quantity].exact.sympy


def _steps(runs: Iterable[_Run]) -> tuple[Step, ...]:
    """The steps of all runs; those of one name are added up."""
    found: dict[str, dict[str, sp.Expr]] = {}
    for run in runs:
        for step in run.steps:
            amounts = found.setdefault(step.name + run.suffix, {})
            for name, formula in step.amounts.items():
                amounts[name] = amounts.get(name, 0) + run.count * formula.sympy
    return tuple(
        Step(name, {amount: _formula(total) for amount, total in amounts.items()}) for name, amounts in found.items()
    )


def _counted(operation: Operation, run: _Run) -> Operation:
    """The operation of one layer as those of all; its launches stay those of one."""
    count = Formula.of(run.count).tree
    amounts = {name: Formula.of_tree(t.multiply([count, each.tree])) for name, each in operation.amounts.items()}
    return replace(operation, step=operation.step + run.suffix, amounts=amounts)


def _formula(total: sp.Expr) -> Formula:
    return Formula.of(sp.expand(total))


def _peak(layer: Layer, moments: Iterable[_Moment]) -> Formula:
    weights = LAYERS * _of(layer.forward, "parameter_bytes")
    return Formula.of_tree(t.call("Max", [_raised(weights + alive, rise).tree for alive, rise in moments]))


def _raised(alive: sp.Expr, rise: Formula) -> Formula:
    return Formula.of_tree(t.add([_formula(alive).tree, rise.tree]))


def _candidates(rise: Formula) -> list[sp.Expr]:
    """The arguments of a Max, or the formula itself."""
    node = rise.tree
    several = isinstance(node, t.Call) and node.function == "Max"
    return [Formula.of_tree(child).sympy for child in (t.children(node) if several else (node,))]
