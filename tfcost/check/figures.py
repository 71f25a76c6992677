"""Which sweeps stand together in a figure: those of one technique, and those of several that can be compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

from tfcost.check.sweeps import Point, Sweep, sweeps

_MOST = 8
_LEAST_SIZES = 3
_NAMES = ("technique", "scope", "pass")


@dataclass(frozen=True, slots=True)
class Figure:
    """Sweeps along one symbol with the labels of their series; `name` is that of the file, without its ending."""

    name: str
    title: str
    symbol: str
    sweeps: tuple[Sweep, ...]
    labels: tuple[str, ...]


def figures(points: Sequence[Point]) -> Iterator[Figure]:
    """One figure per technique, scope and pass, and one per scope, pass and mask with a sweep of every technique."""
    found = [sweep for symbol in ("n", "m") for sweep in sweeps(points, (symbol,), _LEAST_SIZES)]
    found = [sweep for sweep in found if sweep.last.measurement.case.dtype != "float32"]
    groups: dict[tuple[str, str, str, str], list[Sweep]] = {}
    for sweep in found:
        case = sweep.last.measurement.case
        groups.setdefault((case.technique, case.scope, case.pass_, sweep.symbol), []).append(sweep)
    for (technique, scope, pass_, symbol), group in sorted(groups.items()):
        yield _figure(f"{technique}-{scope}-{pass_}", f"{technique}, {scope}, {pass_}", symbol, _longest(group))
    yield from _comparisons(found)


def _comparisons(found: Sequence[Sweep]) -> Iterator[Figure]:
    groups: dict[tuple[str, str, bool], dict[str, Sweep]] = {}
    for sweep in _longest(found, len(found)):
        case = sweep.last.measurement.case
        if sweep.symbol == "n" and case.sizes.get("d_h", 64) == 64:
            key = (case.scope, case.pass_, bool(case.variant.get("causal", False)))
            groups.setdefault(key, {}).setdefault(case.technique, sweep)
    for (scope, pass_, causal), chosen in sorted(groups.items()):
        if len(chosen) > 1 and scope in ("core", "layer"):
            mask = "causal" if causal else "not causal"
            picked = [chosen[name] for name in sorted(chosen)][:_MOST]
            name, title = f"compared-{scope}-{pass_}-{mask.replace(' ', '-')}", f"{scope}, {pass_}, {mask}"
            yield _figure(name, title, "n", picked, told=(*_NAMES, "causal"))


def _longest(group: Sequence[Sweep], most: int = _MOST) -> list[Sweep]:
    """At most so many sweeps, those with the most sizes; of equal ones those that are faster at the largest."""

    def rank(sweep: Sweep) -> tuple[int, float]:
        timing = sweep.last.measurement.timing
        return -len(sweep.points), timing.median if timing else inf

    return sorted(group, key=rank)[:most]


def _figure(name: str, title: str, symbol: str, chosen: Sequence[Sweep], told: Sequence[str] = _NAMES) -> Figure:
    """The title says what all series have in common beside what is `told` in it, a label what its own has."""
    facts = [_facts(sweep) for sweep in chosen]
    common = {key for key, value in facts[0].items() if all(one.get(key) == value for one in facts)}
    shared = ", ".join(_written(key, facts[0][key]) for key in facts[0] if key in common and key not in told)
    labels = tuple(
        ", ".join(_written(key, value) for key, value in one.items() if key not in common) or title for one in facts
    )
    gpu = chosen[0].last.gpu
    return Figure(name, f"{title}: {shared}\n{gpu}; markers: measured, lines: derived", symbol, tuple(chosen), labels)


_FOLLOWING = ("m", "h_kv", "d")


def _facts(sweep: Sweep) -> dict[str, str]:
    case = sweep.last.measurement.case
    sizes = {name: str(size) for name, size in case.sizes.items() if name not in (sweep.symbol, *_FOLLOWING)}
    options = {name: str(value).lower() for name, value in sorted(case.variant.items())}
    named = {"technique": case.technique, "scope": case.scope, "pass": case.pass_}
    return {**named, **options, **sizes, "dtype": case.dtype}


def _written(name: str, value: str) -> str:
    return value if name in (*_NAMES, "dtype") else f"{name} = {value}"
