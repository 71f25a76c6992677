"""Whole models compared: their composed costs in; what each is compared by, and their meetings along n, out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tfcost.analysis.answer import Evaluated, evaluate
from tfcost.analysis.meetings import TIME, Contender, Meeting, followers, meetings
from tfcost.analysis.model import ModelCost
from tfcost.analysis.portions import seconds
from tfcost.analysis.predict import Machine, Prediction
from tfcost.analysis.roofline import predicted
from tfcost.analysis.side_by_side import least
from tfcost.analysis.whole import whole_model

MODEL_QUANTITIES = (
    "parameters", "matmul_flops", "scalar_flops", "issued_bytes", "peak_bytes", "saved_bytes", "parameter_bytes"
)  # fmt: skip
"""The quantities that a comparison of models shows, in this order."""


@dataclass(frozen=True, slots=True)
class Models:
    """Models side by side: cost and predicted time (None where none can be predicted) by name, and their meetings."""

    costs: Mapping[str, ModelCost]
    times: Mapping[str, Prediction | None]
    meetings: tuple[Meeting, ...]

    def smallest(self, quantity: str) -> frozenset[str]:
        """The models with the least of `quantity`; none if all have the same."""
        if quantity == TIME:
            return least({name: time.seconds for name, time in self.times.items() if time})
        having = {name: cost for name, cost in self.costs.items() if quantity in cost.quantities}
        return least({name: cost.quantities[quantity].exact.evaluate(cost.values) for name, cost in having.items()})


def compare_models(costs: Mapping[str, ModelCost], most: Mapping[str, int | None], device: Machine) -> Models:
    """Compares the models `costs`, by name, times predicted on `device`; `most`: the longest sequence of each."""
    contenders = [model_contender(name, cost, most.get(name), device) for name, cost in costs.items()]
    times = {name: predicted(cost, device) for name, cost in costs.items()}
    along = [quantity for quantity in MODEL_QUANTITIES if quantity not in WITHOUT_LENGTH]
    return Models(costs, times, meetings(contenders, along))


WITHOUT_LENGTH = ("parameters", "parameter_bytes")
"""What does not depend on n, and has no crossovers."""


def model_contender(name: str, cost: ModelCost, most: int | None, device: Machine) -> Contender:
    """What the model `cost` is compared by; its learned positions end at `most`."""
    formulas = {one: cost.quantities[one].exact for one in MODEL_QUANTITIES if one in cost.quantities}
    limit = [] if most is None else [f"n <= {most}"]
    time = _seconds(cost, device) if predicted(cost, device) else None
    return Contender(name, formulas, cost.values, (*cost.assumptions, *limit), time)


def evaluated(cost: ModelCost, quantity: str) -> Evaluated:
    """A quantity of a model at its sizes."""
    one = cost.quantities[quantity]
    fixed = {name: size for part in cost.parts for name, size in part.forward.fixed.items()}
    return evaluate(quantity, one.exact, cost.values, fixed=fixed, readable=one.readable, readable_under=one.regime,
                    provenance=one.provenance, note=one.note)  # fmt: skip


def _seconds(cost: ModelCost, device: Machine) -> Callable[[int], float]:
    whole, growing = whole_model(cost), followers(cost.values)
    return lambda n: seconds(whole.portions(dict.fromkeys(growing, n)), device, cost.dtype)


def shared_sizes(costs: Sequence[ModelCost]) -> dict[str, int]:
    """The sizes that all models have, with the same values."""
    first, *others = costs
    return {name: size for name, size in first.values.items() if all(o.values.get(name) == size for o in others)}
