"""The built-in techniques: the modules of `tfcost.techniques`, packages included, that define one."""

import importlib
import pkgutil
from functools import cache

import tfcost.techniques
from tfcost.derive.technique import Technique


@cache
def techniques() -> dict[str, Technique]:
    """Every built-in technique by name."""
    found = {}
    for module in pkgutil.walk_packages(tfcost.techniques.__path__, "tfcost.techniques."):
        technique = getattr(importlib.import_module(module.name), "TECHNIQUE", None)
        if isinstance(technique, Technique):
            found[technique.name] = technique
    return found
