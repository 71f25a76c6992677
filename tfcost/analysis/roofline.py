"""The time of a whole model, step by step: a `ModelCost` and a machine in; seconds, what bounds each step, and how much
of the machine is used out. Always a prediction: every operation is a roofline (see `predict`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tfcost.analysis.model import ModelCost
from tfcost.analysis.predict import BOUNDS, Machine, Part, Prediction, lacking, predict
from tfcost.cost import Cost
from tfcost.errors import UserError
from tfcost.formula import Formula

COMPUTE = ("matmul", "scalar")
"""The resources of `BOUNDS` that are arithmetic."""


@dataclass(frozen=True, slots=True)
class StepTime:
    """A step of a part in all its `count` executions: `seconds`, and per resource of `BOUNDS` the seconds spent on it.

    `bound` is compute, memory or launch: what most of the time is spent on.
    """

    part: str
    name: str
    count: int | Fraction
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
    model_flops: int | Fraction
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
    values = {**cost.values, "N": int(cost.parameters.evaluate(cost.values))}
    parts = [
        (name, count.evaluate(values), one, predict(one, values, device, cost.dtype).parts)
        for name, count, one in _costs(cost)
    ]
    steps = tuple(step for name, count, one, timed in parts for step in _steps(name, one, count, timed))
    peak, bandwidth = device.matmul_peak(cost.dtype), device.bandwidth.value
    needs = {
        resource: sum(float(count) * part.needs[resource] for _, count, _, timed in parts for part in timed)
        for resource in ("matmul", "memory")
    }
    asked = sum(count * _asked(one, values) for _, count, one, _ in parts)
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


def _costs(cost: ModelCost) -> Iterator[tuple[str, Formula, Cost]]:
    """Every pass of every part: the part's name, how often it runs, its cost."""
    for part in cost.parts:
        for one in (part.forward, part.backward):
            if one is not None:
                yield part.name, part.count, one


def _asked(one: Cost, values: Mapping[str, int]) -> int | Fraction:
    """The FLOPs that the mathematics asks for; what is issued where the cost says nothing else."""
    for name in ("algorithmic_flops", "matmul_flops"):
        if name in one.quantities:
            return one.quantities[name].exact.evaluate({**one.fixed, **values})
    return 0


def _steps(name: str, one: Cost, count: int | Fraction, timed: Sequence[Part]) -> Iterator[StepTime]:
    """The steps of one pass of a part, in the order in which they begin."""
    groups: dict[str, list[Part]] = {}
    for part in timed:
        groups.setdefault(part.step, []).append(part)
    suffix = ", backward" if one.pass_ == "backward" else ""
    for step, parts in groups.items():
        spent = dict.fromkeys(BOUNDS, 0.0)
        for part in parts:
            spent["launch"] += float(count) * part.needs["launch"]
            rest = float(count) * (part.seconds - part.needs["launch"])
            spent[max(BOUNDS[:3], key=lambda resource: part.needs[resource])] += rest
        yield StepTime(name, step + suffix, count, sum(spent.values()), spent)


def _prediction(steps: Sequence[StepTime], device: Machine, dtype: str) -> Prediction:
    spent = {bound: sum(step.spent[bound] for step in steps) for bound in BOUNDS}
    seconds = sum(spent.values())
    shares = {bound: time / seconds if seconds else 0.0 for bound, time in spent.items()}
    bound = max(spent, key=lambda one: spent[one])
    return Prediction(seconds, bound, shares, (), device.name, dtype, lacking(device))
