"""What `analyze --solve` and `analyze --fit` show: the largest size that fits, and what would make a model fit."""

from collections.abc import Mapping
from typing import Any

from tfcost.analysis.fit import Bytes, Fit
from tfcost.analysis.remedies import Remedies, Remedy
from tfcost.config.model import ModelConfig
from tfcost.report.document import header
from tfcost.report.page import Amount, Cell, Page, Report, Table
from tfcost.report.units import exact_number, grouped, human
from tfcost.report.words import sizes_line


def solved_report(fit: Fit, config: ModelConfig, pass_: str, where: str) -> Report:
    """The largest value of a symbol that fits; `where` says which memory was meant."""
    return Report(
        page=lambda: _solved_page(fit, config, pass_, where),
        document=lambda: _header(config) | {"pass": pass_, "memory_bytes": fit.memory, "solve": _solved(fit)},
        records=lambda: [{"pass": pass_, "memory_bytes": fit.memory, **_solved(fit)}],
    )


def remedies_report(found: Remedies, config: ModelConfig, pass_: str, where: str, device: str) -> Report:
    """Whether the model fits, and every option with its memory and its predicted time on `device`."""
    return Report(
        page=lambda: _remedies_page(found, config, pass_, where, device),
        document=lambda: _header(config) | {"pass": pass_, "memory_bytes": found.memory, "fit": _fit(found, device)},
        records=lambda: [_record(name, one, found) for name, one in _all(found)],
    )


def _header(config: ModelConfig) -> dict[str, Any]:
    return header("analyze", config.dtype, config.values) | {"model": config.name}


def _solved(fit: Fit) -> dict[str, Any]:
    after = None if fit.peak_after is None else exact_number(fit.peak_after)
    return {
        "symbol": fit.symbol,
        "least": fit.least,
        "largest": fit.largest,
        "after": fit.after,
        "peak_bytes": exact_number(fit.peak),
        "peak_bytes_after": after,
        "limit": fit.limit,
    }


def _solved_page(fit: Fit, config: ModelConfig, pass_: str, where: str) -> Page:
    hidden = (fit.symbol, *(["m"] if fit.symbol == "n" and config.m is None else []))
    sizes = {name: value for name, value in config.values.items() if name not in hidden}
    lines = (f"{pass_}, {config.dtype}, {where}", sizes_line(sizes))
    if fit.largest is None:
        rows: tuple[tuple[Cell, ...], ...] = ((grouped(fit.least), Amount(fit.peak, "B"), _over(fit.peak, fit.memory)),)
        title = f"nothing fits: not even {fit.symbol} = {fit.least}"
    else:
        here: tuple[Cell, ...] = (grouped(fit.largest), Amount(fit.peak, "B"), _left(fit.peak, fit.memory))
        rows, title = (here,), f"the largest {fit.symbol} that fits: {fit.largest}"
        if fit.peak_after is not None and fit.after is not None:
            rows = (here, (grouped(fit.after), Amount(fit.peak_after, "B"), _over(fit.peak_after, fit.memory)))
    notes = (f"everything fits: {fit.limit}",) if fit.limit else ()
    return Page(config.name, lines, (Table(title, (fit.symbol, "peak memory", "of what there is"), rows, notes),))


def _left(peak: Bytes, memory: int) -> str:
    return f"{human(memory - peak, 'B')} left"


def _over(peak: Bytes, memory: int) -> str:
    return f"{human(peak - memory, 'B')} too much"


_COLUMNS = ("option", "peak memory", "change", "time", "change of time", "fits", "model")


def _remedies_page(found: Remedies, config: ModelConfig, pass_: str, where: str, device: str) -> Page:
    lines = (f"{pass_}, {config.dtype}, {where}", sizes_line(config.values))
    rows = [_row(name, one, found) for name, one in _all(found)]
    title = "it fits as it is" if found.fits else "what would make it fit"
    notes = (
        f"time: predicted for {device}, for the same number of sequences; every option is the model composed anew",
    )
    return Page(config.name, lines, (Table(title, _COLUMNS, tuple(rows), notes),))


def _all(found: Remedies) -> list[tuple[str, Remedy | None]]:
    """The model as it is (None), the options, and all together."""
    rows: list[tuple[str, Remedy | None]] = [("as it is", None)]
    rows += [(one.change.name, one) for one in found.options]
    return rows + ([(found.together.change.name, found.together)] if found.together else [])


def _row(name: str, one: Remedy | None, found: Remedies) -> tuple[Cell, ...]:
    peak, seconds = (found.peak, found.seconds) if one is None else (one.peak, one.seconds)
    change = "" if one is None else f"{float(peak / found.peak) - 1:+.1%}"
    slower = "" if one is None or not seconds or not found.seconds else f"{seconds / found.seconds - 1:+.1%}"
    model = "" if one is None else "the same" if one.change.same_model else "another"
    time = Amount(seconds, "s") if seconds is not None else "no prediction"
    return name, Amount(peak, "B"), change, time, slower, "yes" if peak <= found.memory else "no", model


def _fit(found: Remedies, device: str) -> dict[str, Any]:
    return {"fits": found.fits, "device": device, "options": [_record(name, one, found) for name, one in _all(found)]}


def _record(name: str, one: Remedy | None, found: Remedies) -> Mapping[str, Any]:
    peak, seconds = (found.peak, found.seconds) if one is None else (one.peak, one.seconds)
    return {
        "option": name,
        "peak_bytes": exact_number(peak),
        "seconds": seconds,
        "fits": peak <= found.memory,
        "same_model": one is None or one.change.same_model,
    }
