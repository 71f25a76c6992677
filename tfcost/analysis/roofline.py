"""The time of a whole model, step by step: a `ModelCost` and a machine in; seconds, what bounds each step, and how much
of the machine is used out. Always a prediction: every operation is a roofline (see `predict`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tfcost.analysis.model import Execution, ModelCost
from tfcost.analysis.model.executions import AGAIN
from tfcost.analysis.model.optimizer import OPTIMIZER
from tfcost.analysis.polynomial import Exact
from tfcost.analysis.predict import BOUNDS, Machine, Part, Prediction, lacking, predict
from tfcost.cost import Cost
from tfcost.errors import UserError

COMPUTE = ("matmul", "scalar")
"""The resources of `BOUNDS` that are arithmetic."""


@dataclass(frozen=True, slots=True)
class StepTime:
    """A step of a part in all its `count` executions: `seconds`, and per resource of `BOUNDS` the seconds spent on it.

    `bound` is compute, memory or launch: what most of the time is spent on.
    """

    part: str
    name: str
    count: Exact
    seconds: float
    spent: Mapping[str, float]

    @property
    def bound(self) -> str:
        """Compute, memory or launch."""
        groups = {"compute": sum(self.spent[one] for one in COMPUTE)}
        groups |= {"memory": self.spent["memory"], "launch": self.spent["launch"]}
        return max(groups, key=lambda name: groups[name])


@dataclass(frozen=True, slots=True)
class ModelTime:
    """A predicted time with its steps. `model_flops` is what the mathematics asks for, without padding and without
    what is computed twice; `matmul_flops` what is issued; `moved_bytes` what device memory moves. `label`,
    `peak` and `bandwidth` are the machine's.
    """

    prediction: Prediction
    label: str
    steps: tuple[StepTime, ...]
    model_flops: Exact
    matmul_flops: float
    moved_bytes: float
    peak: float
    bandwidth: float

    @property
    def mfu(self) -> float:
        """Model FLOPs over peak times time (Chowdhery et al. 2022, PaLM, appendix B)."""
        return self._use(float(self.model_flops), self.peak)

    @property
    def hfu(self) -> float:
        """Issued matrix FLOPs over peak times time: padding and what is computed again included."""
        return self._use(self.matmul_flops, self.peak)

    @property
    def bandwidth_use(self) -> float:
        """Bytes that device memory moves over bandwidth times time."""
        return self._use(self.moved_bytes, self.bandwidth)

    def _use(self, amount: float, most: float) -> float:
        seconds = self.prediction.seconds
        return amount / (most * seconds) if seconds else 0.0


def model_time(cost: ModelCost, device: Machine) -> ModelTime:
    """The time of `cost` on `device`. UserError for a dtype that the device has no peak for, and for sizes that are too
    large or that a part was not derived for.
    """
    runs = [(run, predict(run.cost, run.values, device, cost.dtype).parts) for run in _runs(cost)]
    steps = tuple(step for run, timed in runs for step in _steps(run, timed))
    peak, bandwidth = device.matmul_peak(cost.dtype), device.bandwidth.value
    needs = {
        resource: sum(float(run.count) * part.needs[resource] for run, timed in runs for part in timed)
        for resource in ("matmul", "memory")
    }
    asked = sum(run.count * run.asked for run, _ in runs)
    prediction = _prediction(steps, device, cost.dtype)
    return ModelTime(
        prediction, device.label, steps, asked, needs["matmul"] * peak, needs["memory"] * bandwidth, peak, bandwidth
    )


def time_or_reason(cost: ModelCost, device: Machine) -> ModelTime | str:
    """The time, or why none can be predicted."""
    try:
        return model_time(cost, device)
    except UserError as error:
        return str(error)


@dataclass(frozen=True, slots=True)
class _Run:
    """One cost of a part, done `count` times at `values`; `asked` are the FLOPs that the mathematics asks for in it."""

    part: str
    suffix: str
    cost: Cost
    count: Exact
    values: Mapping[str, Exact]
    asked: Exact


def _runs(cost: ModelCost) -> Iterator[_Run]:
    """Every execution, and the optimizer's step."""
    for one in cost.executions:
        values = {**cost.values, **one.part.values}
        yield _Run(one.part.name, one.suffix, one.cost, one.count.evaluate(cost.values), values, _asked(one, values))
    for part in cost.parts:
        if part.name == OPTIMIZER:
            values = {**cost.values, "N": cost.parameters.evaluate(cost.values)}
            yield _Run(part.name, "", part.forward, 1, values, 0)


def _asked(one: Execution, values: Mapping[str, Exact]) -> Exact:
    """What the mathematics asks for: nothing of what is computed again."""
    if one.suffix == AGAIN:
        return 0
    asking = one.part.backward if one.cost is one.part.recomputed and one.part.backward else one.cost
    for name in ("algorithmic_flops", "matmul_flops"):
        if name in asking.quantities:
            return asking.quantities[name].exact.evaluate({**asking.fixed, **values})
    return 0


def _steps(run: _Run, timed: Sequence[Part]) -> Iterator[StepTime]:
    """The steps of one cost, in the order in which they begin."""
    groups: dict[str, list[Part]] = {}
    for part in timed:
        groups.setdefault(part.step, []).append(part)
    for step, parts in groups.items():
        spent = dict.fromkeys(BOUNDS, 0.0)
        for part in parts:
            spent["launch"] += float(run.count) * part.needs["launch"]
            rest = float(run.count) * (part.seconds - part.needs["launch"])
            spent[max(BOUNDS[:3], key=lambda resource: part.needs[resource])] += rest
        name = step if step.endswith(AGAIN) else step + run.suffix
        yield StepTime(run.part, name, run.count, sum(spent.values()), spent)


def _prediction(steps: Sequence[StepTime], device: Machine, dtype: str) -> Prediction:
    spent = {bound: sum(step.spent[bound] for step in steps) for bound in BOUNDS}
    seconds = sum(spent.values())
    shares = {bound: time / seconds if seconds else 0.0 for bound, time in spent.items()}
    bound = max(spent, key=lambda one: spent[one])
    return Prediction(seconds, bound, shares, (), device.name, dtype, lacking(device))
