"""Recomputation: one layer as traced, and stacks composed of it, against training steps of the same run for real.

Matmul FLOPs come from torch's own counter, memory from the CPU allocator's events.
"""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from oracles.allocator import AllocatorRun
from torch.utils.flop_counter import FlopCounterMode

from tfcost.cost import AMOUNTS, Cost
from tfcost.derive.costs import derive_variant
from tfcost.derive.harness import run_released
from tfcost.derive.subject import Tensor, parse_shape
from tfcost.techniques import standard
from tfcost.techniques.recompute import TECHNIQUE, layer, layer_arguments, stack

# Allocations of the profiler's own marker, and nothing else, may differ: no state of random numbers is kept.
TOLERANCE = 64
LONG = {"b": 2, "h_kv": 2, "r": 1, "n": 65, "d_h": 8, "d": 16, "f": 64}
WIDE = {"b": 1, "h_kv": 1, "r": 4, "n": 7, "d_h": 16, "d": 64, "f": 100}
GROUPED = {"b": 3, "h_kv": 2, "r": 2, "n": 33, "d_h": 4, "d": 24, "f": 40}
SIZES = {"long": LONG, "wide": WIDE, "grouped": GROUPED}
STACKS = [(1, 1), (2, 1), (2, 2), (4, 2), (6, 3), (8, 2)]
POLICIES = ("none", "attention", "layer")


def derived(*attentions: str, widths: tuple[int | None, ...] = (None,), device: str = "cpu") -> list[Cost]:
    """Layers of every policy, and stacks of them."""
    variants = [v for v in TECHNIQUE.variants() if v.options["attention"] in attentions]
    chosen = [variant for variant in variants if variant.subject.fixed.get("d_h") in widths]
    layers = [cost for variant in chosen for cost in derive_variant(TECHNIQUE, variant, device)]
    assert TECHNIQUE.composed is not None
    return [*TECHNIQUE.composed(layers), *layers]


@pytest.fixture(scope="module")
def costs() -> list[Cost]:
    """Standard attention for the CPU, which has no workspace."""
    return [cost for cost in derived("standard") if cost.dtypes == ("float32",)]


def find(costs: list[Cost], scope: str, pass_: str, policy: str) -> Cost:
    (found,) = [one for one in costs if (one.scope, one.pass_, one.variant["policy"]) == (scope, pass_, policy)]
    return found


def at(sizes: dict[str, int], L: int = 1, s: int = 1) -> dict[str, int]:
    return {**sizes, "h": sizes["h_kv"] * sizes["r"], "L": L, "s": s}


def value(cost: Cost, quantity: str, values: dict[str, int]) -> int:
    found = cost.quantities[quantity].exact.evaluate(values)
    assert isinstance(found, int)
    return found


class Step:
    """A training step of random layers."""

    def __init__(self, sizes: dict[str, int], L: int, s: int, policy: str) -> None:
        self.sizes, self.policy, self.s = sizes, policy, s
        self.common = {"h": sizes["h_kv"] * sizes["r"], "h_kv": sizes["h_kv"], "d_h": sizes["d_h"],
                       "core": standard.attention, "strided": False}  # fmt: skip
        weights = {name: one for name, one in layer_arguments().items() if isinstance(one, Tensor) and name != "x"}
        self.layers = [{name: self.random(one).requires_grad_() for name, one in weights.items()} for _ in range(L)]

    def random(self, tensor: Tensor) -> torch.Tensor:
        return torch.randn([int(dimension.evaluate(self.sizes)) for dimension in parse_shape(tensor.shape)])

    def function(self, x: torch.Tensor) -> torch.Tensor:
        if self.policy == "segments":
            return stack(x, self.layers, self.s, **self.common)
        for weights in self.layers:
            x = layer(x, policy=self.policy, **weights, **self.common)
        return x

    def run(self, begin_forward: Callable[[], None], begin_backward: Callable[[], None]) -> None:
        make = partial(self.random, Tensor("b,n,d"))
        run_released(self.function, make, {}, begin_forward, lambda: None, begin_backward)


class Real:
    """What a training step really took: matmul FLOPs of each pass, the peak of each, and what the forward pass left."""

    def __init__(self, sizes: dict[str, int], L: int, s: int, policy: str) -> None:
        flops: list[int] = []
        with FlopCounterMode(display=False) as counter:
            Step(sizes, L, s, policy).run(lambda: None, lambda: flops.append(counter.get_total_flops()))
        self.forward_flops, self.flops = flops[0], counter.get_total_flops()
        with AllocatorRun() as allocator:
            Step(sizes, L, s, policy).run(allocator.mark, allocator.mark)
        (_, _), (_, self.forward_peak), (self.left, self.backward_peak) = allocator.phases()
        self.peak = max(self.forward_peak, self.backward_peak)


def close(derived: int, real: int) -> bool:
    return abs(derived - real) <= TOLERANCE


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("policy", [*POLICIES, "segments"])
def test_a_stack_costs_what_it_does_for_real(policy: str, sizes: dict[str, int], costs: list[Cost]) -> None:
    cost = find(costs, "stack", "train", policy)
    for L, s in STACKS if policy == "segments" else ((1, 1), (3, 1)):
        real, values = Real(sizes, L, s, policy), at(sizes, L, s)
        assert value(cost, "matmul_flops", values) == real.flops, (L, s)
        assert close(value(cost, "peak_bytes", values), real.peak), (L, s)
        gradient = 4 * sizes["b"] * sizes["n"] * sizes["d"]
        left = value(cost, "saved_bytes", values) + value(cost, "parameter_bytes", values) + gradient
        assert close(left, real.left), (L, s)


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("policy", POLICIES)
def test_both_passes_of_a_layer_cost_what_they_do_for_real(
    policy: str, sizes: dict[str, int], costs: list[Cost]
) -> None:
    forward, backward = (find(costs, "layer", pass_, policy) for pass_ in ("forward", "backward"))
    real, values = Real(sizes, 1, 1, policy), at(sizes)
    assert value(forward, "matmul_flops", values) == real.forward_flops
    assert value(backward, "matmul_flops", values) == real.flops - real.forward_flops
    assert close(value(forward, "peak_bytes", values), real.forward_peak)
    assert close(value(backward, "peak_bytes", values), real.backward_peak)


def test_a_whole_layer_again_is_its_forward_pass_but_for_the_last_product(costs: list[Cost]) -> None:
    """The last product of a layer gives its result, which no gradient needs: torch stops before it."""
    for sizes in SIZES.values():
        values = at(sizes)
        forward, plain, again = (
            value(find(costs, "layer", pass_, policy), "matmul_flops", values)
            for pass_, policy in (("forward", "none"), ("backward", "none"), ("backward", "layer"))
        )
        assert again - plain == forward - 2 * values["b"] * values["n"] * values["f"] * values["d"]


def test_a_layer_keeps_its_input_alone(costs: list[Cost]) -> None:
    for sizes in SIZES.values():
        values = at(sizes, L=5)
        one_input = 4 * values["b"] * values["n"] * values["d"]
        assert value(find(costs, "layer", "forward", "layer"), "saved_bytes", values) == one_input
        assert value(find(costs, "stack", "train", "layer"), "saved_bytes", values) == 5 * one_input


def test_segments_of_one_layer_are_layers(costs: list[Cost]) -> None:
    segments, layers = (find(costs, "stack", "train", policy) for policy in ("segments", "layer"))
    assert segments.quantities.keys() == layers.quantities.keys()
    for sizes in SIZES.values():
        values = at(sizes, L=7)
        for name in layers.quantities:
            assert value(segments, name, values) == value(layers, name, values), name


def test_steps_and_operations_add_up_to_the_whole(costs: list[Cost]) -> None:
    stacks = [cost for cost in costs if cost.scope == "stack"]
    assert len(stacks) == 4
    for cost in stacks:
        values = at(GROUPED, L=6, s=3)
        for listed in (cost.steps, cost.operations):
            sums = {amount: sum(one.amounts[amount].evaluate(values) for one in listed if amount in one.amounts)
                    for amount in AMOUNTS}  # fmt: skip
            assert sums["matmul_flops"] == value(cost, "matmul_flops", values)
            assert sums["scalar_flops"] == value(cost, "scalar_flops", values)
            assert sums["read_bytes"] + sums["write_bytes"] == value(cost, "issued_bytes", values)
        assert {one.step for one in cost.operations} == {step.name for step in cost.steps}


def test_the_mathematics_asks_for_nothing_twice(costs: list[Cost]) -> None:
    plain = find(costs, "stack", "train", "none")
    for policy in ("attention", "layer", "segments"):
        cost = find(costs, "stack", "train", policy)
        for sizes in SIZES.values():
            values = at(sizes, L=4, s=2)
            assert value(cost, "algorithmic_flops", values) == value(plain, "matmul_flops", values)
            assert value(cost, "matmul_flops", values) > value(plain, "matmul_flops", values)


def test_the_kernel_of_flash_runs_again() -> None:
    found = derived("flash", widths=(64,), device="cuda")
    forward = {step.name: step.amounts for step in find(found, "layer", "forward", "none").steps}
    for policy in ("layer", "attention"):
        backward = {step.name: step.amounts for step in find(found, "layer", "backward", policy).steps}
        assert backward["attention kernel (recomputed)"] == forward["attention kernel"]
        assert ("projections (recomputed)" in backward) == (policy == "layer")
    values = {**at(LONG, L=6, s=3), "n": 128}
    layers, segments = (find(found, "stack", "train", policy) for policy in ("layer", "segments"))
    last_product = 2 * values["b"] * values["n"] * values["f"] * values["d"]
    gap = value(segments, "matmul_flops", values) - value(layers, "matmul_flops", values)
    assert gap == (6 - 2) * last_product
