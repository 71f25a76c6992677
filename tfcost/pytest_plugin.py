"""Collects functions marked with `@tfcost.contract` as tests: each is derived and judged by its contract.

Nothing of tfcost but this file is imported before such a function is found.
"""

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tfcost.check.deriver import Deriver, Outcome

_ATTRIBUTE = "__tfcost_contract__"
_DERIVER: "pytest.StashKey[Deriver]" = pytest.StashKey()


class ContractBroken(Exception):
    """What pytest shows of a cost that is not what its contract says."""


class ContractItem(pytest.Item):
    """One marked function."""

    def __init__(self, *, function: Any, target: dict[str, Any], **others: Any) -> None:
        super().__init__(**others)
        self.function, self.target = function, target

    def runtest(self) -> None:
        """Derives the function in a process of its own and judges it. ContractBroken tells what is wrong."""
        from tfcost.check.judge import judge
        from tfcost.check.sight import Sight
        from tfcost.errors import UserError

        try:
            outcome = self._derived()
            if outcome.record is None:
                raise UserError(outcome.error)
            config = self._config()
            regime, dims = tuple(config.regime), tuple(config.dims)
            sights = [Sight(cost, config.sizes, regime, dims=dims) for cost in outcome.record.costs]
            findings = list(judge(self.name, config.contract, sights))
        except UserError as error:
            raise ContractBroken(str(error)) from None
        broken = [finding for finding in findings if finding.level == "error"]
        if broken:
            lines = [line for one in broken for line in (one.message, *(f"  {cause.text}" for cause in one.causes))]
            raise ContractBroken("\n".join(lines))

    def _config(self) -> Any:
        from pydantic import ValidationError

        from tfcost.check.config import TargetConfig
        from tfcost.errors import UserError

        file = inspect.getsourcefile(self.function)
        try:
            return TargetConfig.model_validate({**self.target, "function": f"{file}:{self.function.__name__}"})
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            place = "" if problem["loc"][:1] == ("contract",) else f"{'.'.join(map(str, problem['loc']))}: "
            raise UserError(f"tfcost.contract: {place}{problem['msg']}") from None

    def _derived(self) -> "Outcome":
        from tfcost.check.config import CheckConfig
        from tfcost.check.job import Job

        config = self._config()
        whole = CheckConfig.model_validate({"targets": {self.name: config}})
        job = Job.of(self.name, config, whole, str(self.config.rootpath))
        return _deriver(self.config).derive([job])[0]

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """A broken contract in words, anything else as pytest shows it."""
        if isinstance(excinfo.value, ContractBroken):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The function's place."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        return self.path, code.co_firstlineno - 1 if code else None, f"contract of {self.name}"


def pytest_pycollect_makeitem(collector: Any, name: str, obj: Any) -> ContractItem | None:
    """A marked function or class is a test, whatever its name. A mark is its own: subclasses do not inherit it."""
    target = getattr(obj, "__dict__", {}).get(_ATTRIBUTE)
    if not isinstance(target, dict):
        return None
    item: ContractItem = ContractItem.from_parent(collector, name=name, function=obj, target=target)
    return item


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the process that derives."""
    deriver = config.stash.get(_DERIVER, None)
    if deriver is not None:
        deriver.__exit__(None, None, None)


def _deriver(config: pytest.Config) -> "Deriver":
    from tfcost.check.deriver import CACHE, Deriver

    if _DERIVER not in config.stash:
        paths = tuple(entry for entry in sys.path if entry)
        config.stash[_DERIVER] = Deriver(config.rootpath / CACHE, paths=paths).__enter__()
    return config.stash[_DERIVER]
