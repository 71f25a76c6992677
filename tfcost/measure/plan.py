"""From the table of sweeps, narrowed by what the command line asks for, to the cases that will run. No torch.

A case that cannot be is left out with its reason: sizes that a formula does not hold for, a dtype that no kernel has.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from tfcost.analysis.conditions import broken
from tfcost.analysis.model import compose
from tfcost.book import SITUATIONS, Book
from tfcost.config.model import ModelConfig
from tfcost.cost import Cost
from tfcost.errors import UserError, nearest
from tfcost.evidence.record import Case, OptionValue
from tfcost.measure.sweeps import SWEEPS, WIDTH, Sweep

_OTHER_SIZES = {"b": 1, "V": 50257, "P": 131072, "S": 2, "L": 4}
_OF_HEADS = ("b", "n", "m", "d", "h", "h_kv", "d_h")
_LENGTHS = ("n", "m", "w", "p")


@dataclass(frozen=True, slots=True)
class Selection:
    """What the command line narrows the plan to; what is empty narrows nothing. `lengths` and `widths` replace those of
    the plan. Options are texts, as they were given.
    """

    techniques: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()
    passes: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    widths: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The cases in the order in which they run, and those left out, each with its reason."""

    cases: tuple[Case, ...]
    left_out: tuple[tuple[str, str], ...]


def make_plan(book: Book, selection: Selection, sweeps: Sequence[Sweep] = SWEEPS) -> Plan:
    """The cases of `sweeps` that `selection` asks for, the shortest sequences first, so that a run that is interrupted
    has seen every technique. UserError, with the nearest name, for a name that the plan does not know.
    """
    _check_names(selection, sweeps)
    cases: dict[str, Case] = {}
    left_out: dict[str, str] = {}
    for sweep in _narrowed(selection, sweeps):
        for pass_, dtype, options, values in _combinations(sweep):
            case = _case(book, sweep, pass_, dtype, options, values)
            if isinstance(case, Case):
                if _asked(case, selection.options):
                    cases.setdefault(case.key, case)
            else:
                left_out.setdefault(*case)
    return Plan(tuple(sorted(cases.values(), key=_length)), tuple(left_out.items()))


def _check_names(selection: Selection, sweeps: Iterable[Sweep]) -> None:
    known = {
        "technique": {sweep.technique for sweep in sweeps},
        "pass": {name for sweep in sweeps for name in sweep.passes},
        "option": {name for sweep in sweeps for name in sweep.options},
    }
    asked = {"technique": selection.techniques, "pass": selection.passes, "option": tuple(selection.options)}
    for kind, names in asked.items():
        for name in names:
            if name not in known[kind]:
                raise UserError(f"no {kind} to measure is called '{name}'{nearest(name, known[kind])}")
    for width in selection.widths:
        if WIDTH % width:
            raise UserError(f"--d-h {width}: it does not divide d = {WIDTH}")


def _narrowed(selection: Selection, sweeps: Iterable[Sweep]) -> Iterator[Sweep]:
    for sweep in sweeps:
        if selection.techniques and sweep.technique not in selection.techniques:
            continue
        chosen: dict[str, tuple[int, ...] | tuple[str, ...]] = {}
        if selection.passes:
            chosen["passes"] = tuple(name for name in sweep.passes if name in selection.passes)
        if selection.lengths and sweep.length in _LENGTHS:
            chosen["lengths"] = selection.lengths
        if selection.dtypes:
            chosen["dtypes"] = selection.dtypes
        if selection.widths:
            chosen["widths"] = selection.widths
        yield replace(sweep, **chosen)  # type: ignore[arg-type]


def _combinations(
    sweep: Sweep,
) -> Iterator[tuple[str, str, dict[str, OptionValue], dict[str, int]]]:
    """Pass, dtype, options and sizes of every combination."""
    lists = (sweep.passes, sweep.dtypes, sweep.widths, sweep.lengths)
    for pass_, dtype, width, length, *chosen in product(*lists, *sweep.options.values(), *sweep.sizes.values()):
        assert isinstance(width, int)
        options = dict(zip(sweep.options, chosen, strict=False))
        own = dict(zip(sweep.sizes, chosen[len(options) :], strict=True))
        heads = {"d": WIDTH, "d_h": width, "h": WIDTH // width}
        yield str(pass_), str(dtype), options, {**heads, **own, sweep.length: length}  # type: ignore[dict-item]


def _case(
    book: Book, sweep: Sweep, pass_: str, dtype: str, options: Mapping[str, OptionValue], own: Mapping[str, int]
) -> Case | tuple[str, str]:
    """The case, or how it is called and why it cannot be."""
    values = {**_OTHER_SIZES, **book.record(sweep.technique).defaults, **own}
    values.setdefault("h_kv", values["h"])
    values.setdefault("f", 4 * values["d"])
    if "n" in values:
        values.setdefault("m", values["n"])
    try:
        cost = book.find(sweep.technique, scope=sweep.scope, pass_=pass_, dtype=dtype, variant=options, values=values)
    except UserError as error:
        shown = " ".join(f"{name}={value}" for name, value in {**options, **own}.items())
        return f"{sweep.technique}/{sweep.scope}/{pass_}/{dtype} {shown}", str(error)
    variant = {name: value for name, value in cost.variant.items() if name not in SITUATIONS}
    case = Case(sweep.technique, sweep.scope, pass_, dtype, variant, _own_sizes(cost, values))  # type: ignore[arg-type]
    reasons = broken(cost.assumptions, values)
    return (case.key, reasons[0]) if reasons else case


def _own_sizes(cost: Cost, values: Mapping[str, int]) -> dict[str, int]:
    """The sizes that the cost depends on, and those that tell it apart from others."""
    used = {*cost.symbols, *cost.fixed}
    if used & {"h", "h_kv", "d_h"}:
        used |= set(_OF_HEADS)
    if "padded" in cost.variant:
        used |= {"n", "c"}
    return {name: value for name, value in values.items() if name in used}


def _asked(case: Case, options: Mapping[str, str]) -> bool:
    return all(str(case.variant.get(name)).lower() == text.lower() for name, text in options.items())


def _length(case: Case) -> int:
    return next((case.sizes[name] for name in _LENGTHS if name in case.sizes), 0)


def listed(plan: Plan, known: Collection[str] = ()) -> str:
    """The plan as text: a line per case (marked if its key is `known`, measured already), then what is left out."""
    lines = [f"{'  ' if case.key not in known else '= '}{case.key}" for case in plan.cases]
    lines += [f"- {name}: {reason}" for name, reason in plan.left_out]
    return "\n".join([*lines, f"{len(plan.cases)} cases, {len(plan.left_out)} left out", ""])


def model_cases(config: ModelConfig, book: Book, passes: Collection[str]) -> tuple[Case, ...]:
    """The model that `config` describes, in each of `passes` (none: forward and train). UserError for another one."""
    model = config.model_dump(mode="json", exclude_unset=True) | {"attention": config.attention}
    found = []
    for pass_ in passes or ("forward", "train"):
        cost = compose(config, book, pass_=pass_)
        found.append(Case("model", "model", pass_, config.dtype, {"config": config.name}, cost.values, model=model))
    return tuple(found)
