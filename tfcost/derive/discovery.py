"""The built-in techniques: the modules of `tfcost.techniques` that define one."""

import importlib
import pkgutil
from functools import cache

import tfcost.techniques
from tfcost.derive.technique import Technique


@cache
def techniques() -> dict[str, Technique]:
    """Every built-in technique by name."""
    found = {}
    for module in pkgutil.iter_modules(tfcost.techniques.__path__):
        technique = getattr(importlib.import_module(f"tfcost.techniques.{module.name}"), "TECHNIQUE", None)
        if isinstance(technique, Technique):
            found[technique.name] = technique
    return found
