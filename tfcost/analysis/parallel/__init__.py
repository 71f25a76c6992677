"""Models split over GPUs."""

from tfcost.analysis.parallel.compose import ParallelCost, Stage, compose_parallel
from tfcost.analysis.parallel.transfers import Exchange

__all__ = ["Exchange", "ParallelCost", "Stage", "compose_parallel"]
