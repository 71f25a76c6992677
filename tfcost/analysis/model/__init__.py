"""Whole models composed of derived parts."""

from tfcost.analysis.model.algebra import LAYERS, ONE
from tfcost.analysis.model.chain import PASSES, Run
from tfcost.analysis.model.compose import ModelCost, compose
from tfcost.analysis.model.executions import Execution, Row
from tfcost.analysis.model.part import Part

__all__ = ["LAYERS", "ONE", "PASSES", "Execution", "ModelCost", "Part", "Row", "Run", "compose"]
