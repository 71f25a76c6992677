"""`@tfcost.contract(time="n**2*d", dims=["b", "n", "d"], shapes={"q": "b,n,d"})`: notes what a function must cost.

In: the function. Out: the same one, with an attribute that the pytest plugin collects; nothing happens when it runs.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

ATTRIBUTE = "__tfcost_contract__"
"""Where the contract is noted, as the keys of a target in tfcost.yaml."""

F = TypeVar("F", bound=Callable[..., Any])


def contract(*lines: str, dims: list[str] | tuple[str, ...] = (), shapes: Mapping[str, str] | None = None,
             **others: Any) -> Callable[[F], F]:  # fmt: skip
    """What the function or torch module must cost: classes and bounds by quantity, or whole `lines` of a contract.

    `time="n**2*d"` is a class, `peak_bytes="<= 2 GiB at n=16k"` a bound. `dims`, `shapes` and the other keys of a
    target (args, init, passes, dtype, sizes, regime, time_limit) are those of tfcost.yaml.
    """

    def noted(function: F) -> F:
        setattr(function, ATTRIBUTE, _target(lines, dims, shapes or {}, others))
        return function

    return noted


_KEYS = ("args", "init", "passes", "dtype", "sizes", "regime", "time_limit")


def _target(
    lines: tuple[str, ...], dims: list[str] | tuple[str, ...], shapes: Mapping[str, str], others: Mapping[str, Any]
) -> dict[str, Any]:
    """The target as tfcost.yaml would hold it, its function left out."""
    target = {name: value for name, value in others.items() if name in _KEYS}
    classes = {name: str(value).strip() for name, value in others.items() if name not in _KEYS}
    written = [f"{name} {text}" if text.startswith("<=") else f"{name}: {text}" for name, text in classes.items()]
    return {**target, "dims": list(dims), "shapes": dict(shapes), "contract": [*lines, *written]}
