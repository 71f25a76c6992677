"""Ceilings measured in the same run, in the form that predictions take them."""

from collections.abc import Mapping
from dataclasses import dataclass

from tfcost.analysis.devices import Figure
from tfcost.errors import UserError, nearest
from tfcost.evidence.record import Ceilings, Environment

_SOURCE = "measured in the same run"


@dataclass(frozen=True, slots=True)
class Measured:
    """A GPU as its own run found it: FLOP/s per dtype, scalar FLOP/s, B/s, seconds per launch."""

    name: str
    matmul_flops: Mapping[str, Figure]
    scalar_flops: Figure
    bandwidth: Figure
    launch_seconds: Figure

    def matmul_peak(self, dtype: str) -> float:
        """FLOP/s of matrix products in `dtype`. UserError if it was not measured."""
        if dtype not in self.matmul_flops:
            raise UserError(f"{self.name}: no ceiling was measured for {dtype}{nearest(dtype, self.matmul_flops)}")
        return self.matmul_flops[dtype].value


def measured_ceilings(environment: Environment, ceilings: Ceilings) -> Measured:
    """The `ceilings` of `environment`, each with where it comes from."""
    return Measured(
        environment.gpu,
        {dtype: _figure(value) for dtype, value in ceilings.matmul_flops.items()},
        _figure(ceilings.scalar_flops),
        _figure(ceilings.bandwidth),
        _figure(ceilings.launch_seconds),
    )


def _figure(value: float) -> Figure:
    return Figure(value=value, source=_SOURCE)
