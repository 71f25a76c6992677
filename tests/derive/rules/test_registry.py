"""The table of rules itself."""

import pytest
import torch

from tfcost.derive.rules import registry
from tfcost.derive.rules.pointwise import PER_ELEMENT


def test_every_rule_is_for_an_operation_that_exists() -> None:
    in_place = {f"aten.{name}_" for name in PER_ELEMENT}
    for name in registry._RULES.keys() - in_place:
        namespace, _, operation = name.partition(".")
        assert hasattr(getattr(torch.ops, namespace), operation), name


def test_two_rules_for_one_operation_are_refused() -> None:
    with pytest.raises(ValueError, match=r"two rules for aten\.mm"):
        registry.rule("aten.mm")(lambda call: registry.Amounts())
