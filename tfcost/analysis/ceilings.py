"""Ceilings measured on a GPU, in the form that predictions take them: an evidence file in, a machine out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tfcost.analysis.devices import Figure
from tfcost.errors import UserError
from tfcost.evidence.read import read_evidence
from tfcost.evidence.record import Ceilings, Environment


@dataclass(frozen=True, slots=True)
class Measured:
    """A GPU as its own run found it: FLOP/s per dtype, scalar FLOP/s, B/s, seconds per launch, bytes of memory."""

    name: str
    label: str
    matmul_flops: Mapping[str, Figure]
    scalar_flops: Figure
    bandwidth: Figure
    launch_seconds: Figure | None
    memory_bytes: Figure
    unified_memory: bool = False

    def matmul_peak(self, dtype: str) -> float:
        """FLOP/s of matrix products in `dtype`. UserError if it was not measured."""
        if dtype not in self.matmul_flops:
            given = ", ".join(self.matmul_flops)
            raise UserError(f"{self.name}: no ceiling was measured for {dtype}, only for {given}")
        return self.matmul_flops[dtype].value


def measured_ceilings(environment: Environment, ceilings: Ceilings) -> Measured:
    """The `ceilings` of `environment`, each with where it comes from."""
    source = f"measured on {environment.gpu}, {environment.date[:10]}"
    return Measured(
        environment.gpu,
        f"{environment.gpu}, as measured on {environment.date[:10]}",
        {dtype: Figure(value=value, source=source) for dtype, value in ceilings.matmul_flops.items()},
        Figure(value=ceilings.scalar_flops, source=source),
        Figure(value=ceilings.bandwidth, source=source),
        Figure(value=ceilings.launch_seconds, source=source) if ceilings.launch_seconds else None,
        Figure(value=environment.memory_bytes, source=source),
    )


def ceilings_of(path: Path) -> Measured:
    """The ceilings in the evidence file `path`, those of its latest run that took any. UserError, with the file, for
    one that is not evidence or that has none.
    """
    evidence = read_evidence(path)
    found = [
        (environment.date, place)
        for place, environment in enumerate(evidence.environments)
        if evidence.ceilings[place] is not None
    ]
    if not found:
        raise UserError(f"{path}: no ceilings were measured; 'tfcost measure --ceilings -o {path}' adds them")
    place = max(found)[1]
    ceilings = evidence.ceilings[place]
    assert ceilings is not None
    return measured_ceilings(evidence.environments[place], ceilings)
