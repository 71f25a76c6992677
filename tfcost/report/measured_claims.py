"""The measured half of the claims: what was measured of each statement, with the numbers, and where it holds."""

from collections.abc import Iterable, Sequence
from typing import Any

import tfcost
from tfcost.analysis.ratios import DURATION, range_text, ratio_text
from tfcost.check.claims import LIKE_A_POWER, SAME_SLOPE, MeasuredClaim, MeasuredRatio, MeasuredSlope
from tfcost.report.document import SCHEMA_VERSION
from tfcost.report.page import Code, Page, Report, Table
from tfcost.report.words import sizes_line
from tfcost.symbols import SYMBOLS

_COLUMNS = ("section", "technique", "the document", "scope", "measured", "verdict")
_RATIO_COLUMNS = ("technique", "the document", "case", "measured", "as stated")
_LABELS = {"time": "FLOPs", "space": "peak memory"}
_NOTE = (
    "slope: by which power of the size a quantity grew over the last doubling of the size. largest term: that "
    "of the derived formula at these sizes. It decides if measured and derived slope differ by at most "
    f"{SAME_SLOPE}: lower terms bend a slope. Else the measured slope must be within {LIKE_A_POWER} of a stated power."
)
_STEPS = "{} more statements are about steps, not measured alone: 'tfcost techniques --claims' derives them."
UNMEASURED, STEP = "not measured", "a step, not measured alone"


def measured_claims_report(claims: Sequence[MeasuredClaim], machines: Sequence[str]) -> Report:
    """One row per claim about a whole technique, and one per case and options for every claim about a ratio; document
    and records have the claims about steps too.
    """
    return Report(
        page=lambda: _page(claims, machines),
        document=lambda: {
            "schema_version": SCHEMA_VERSION,
            "command": "verify",
            "tfcost_version": tfcost.__version__,
            "claims": [{"technique": one.technique, **_claim(one), **measured_document(one)} for one in claims],
        },
        records=lambda: [
            {"technique": one.technique, **_claim(one), "measured": measured_text(one), "verdict": verdict_text(one)}
            for one in claims
        ],
    )


def _page(claims: Sequence[MeasuredClaim], machines: Sequence[str]) -> Page:
    rows = tuple(
        (one.claim.section, Code(one.technique), one.claim.quote, one.scope, measured_text(one), verdict_text(one))
        for one in claims
        if not one.claim.step
    )
    steps = sum(bool(one.claim.step) for one in claims)
    notes = (_NOTE, *([_STEPS.format(steps)] if steps else []))
    tables = [Table("", _COLUMNS, rows, notes)]
    found = [ratio for one in claims for ratio in one.ratios]
    if found:
        common = frozenset.intersection(*(frozenset(_facts(ratio).items()) for ratio in found))
        ratios = tuple(row for one in claims for row in _ratio_rows(one, common))
        told = ", ".join(text for name, text in _facts(found[0]).items() if (name, text) in common)
        tables.append(
            Table("Where the ratios hold", _RATIO_COLUMNS, ratios, (f"All of them: {told}.",) if told else ())
        )
    return Page("What the source document states, and what is measured", tuple(machines), tuple(tables))


def verdict_text(one: MeasuredClaim) -> str:
    """As stated, not as stated, in how many cases, or not measured."""
    if one.claim.step:
        return STEP
    if one.ratios:
        return f"as stated in {sum(ratio.as_claimed for ratio in one.ratios)} of {len(one.ratios)} cases"
    if one.holds is None:
        return UNMEASURED
    return "as stated" if one.holds else "not as stated"


def measured_text(one: MeasuredClaim) -> str:
    """The numbers: slopes by size, or the range of the ratios."""
    if one.ratios:
        found = [ratio.ratio for ratio in one.ratios]
        return range_text(min(found), max(found), one.claim.quantity == DURATION)
    symbols = [name for name in SYMBOLS if any(slope.symbol == name for slope in one.slopes)]
    label = _LABELS.get(one.claim.quantity, one.claim.quantity)
    return f"{label} " + "; ".join(_slope_text(one, name) for name in symbols) if symbols else ""


def _slope_text(one: MeasuredClaim, symbol: str) -> str:
    slopes = [slope for slope in one.slopes if slope.symbol == symbol]
    measured, derived = (_span(getattr(slope, name) for slope in slopes) for name in ("measured", "derived"))
    stated = _powers(symbol, (bound for slope in slopes for bound in slope.stated))
    largest = _powers(symbol, (slope.power for slope in slopes if slope.power is not None)) or "open"
    text = f"over {symbol}: slope {measured} (derived {derived}), largest term {largest} (stated {stated})"
    times = [slope.time for slope in slopes if slope.time is not None]
    return f"{text}, slope of time {_span(times)}" if times and one.claim.quantity == "time" else text


def _powers(symbol: str, exponents: Iterable[float]) -> str:
    """The least and the largest power, as "n^1" or "n^0 to n^2"."""
    return " to ".join(f"{symbol}^{exponent:g}" for exponent in _ends(exponents))


def _ends(values: Iterable[float]) -> list[float]:
    """The least and the largest, once if they are the same; none of none."""
    found = sorted(set(values))
    return list(dict.fromkeys([*found[:1], *found[-1:]]))


def _span(values: Iterable[float]) -> str:
    """One number of two digits, or the least and the largest of several that differ in these."""
    return " to ".join(f"{value:.2f}" for value in _ends(round(value, 2) + 0.0 for value in values))


def _ratio_rows(one: MeasuredClaim, common: frozenset[tuple[str, str]]) -> Iterable[tuple[str | Code, ...]]:
    """The ratios of every group of runs that differ in n alone; what all groups have in `common` is not repeated."""
    groups: dict[str, list[MeasuredRatio]] = {}
    for ratio in one.ratios:
        name = ", ".join(text for key, text in _facts(ratio).items() if (key, text) not in common)
        groups.setdefault(name, []).append(ratio)
    for name, ratios in groups.items():
        ratios.sort(key=_length)
        each = ", ".join(f"{_length(r)}: {_short(r, one)}" for r in ratios)
        where = ", ".join(str(_length(ratio)) for ratio in ratios if ratio.as_claimed)
        yield Code(one.technique), one.claim.quote, name, f"n = {each}", f"n = {where}" if where else "nowhere"


def _group(ratio: MeasuredRatio) -> str:
    return ", ".join(_facts(ratio).values())


def _facts(ratio: MeasuredRatio) -> dict[str, str]:
    """Everything about a run but its length, by name."""
    case = ratio.run.case
    options = {name: f"{name}: {str(value).lower()}" for name, value in sorted(case.variant.items())}
    sizes = sizes_line({name: size for name, size in case.sizes.items() if name not in ("n", "m")})
    named = {text.partition("=")[0]: text for text in sizes.split(", ") if text}
    return {"": f"{case.scope} {ratio.run.pass_}", **options, **named, "dtype": case.dtype}


def _length(ratio: MeasuredRatio) -> int:
    return ratio.run.values.get("n", 0)


def _short(ratio: MeasuredRatio, one: MeasuredClaim) -> str:
    if one.claim.quantity == DURATION:
        return f"{float(1 / ratio.ratio):.2f}×"
    time = f" (time {ratio_text(ratio.time, times=False)})" if ratio.time and one.claim.quantity == "time" else ""
    return ratio_text(ratio.ratio, times=False) + time


def _claim(one: MeasuredClaim) -> dict[str, Any]:
    return {
        "section": one.claim.section,
        "quantity": one.claim.quantity,
        "step": one.claim.step,
        "formula": one.claim.formula.text,
        "quote": one.claim.quote,
    }


def measured_document(one: MeasuredClaim) -> dict[str, Any]:
    """What was measured of a claim, for JSON documents."""
    return {
        "measured_scope": one.scope,
        "measured_as_stated": one.holds,
        "slopes": [_slope(slope) for slope in one.slopes],
        "ratios": [
            {
                "case": _group(ratio),
                "n": _length(ratio),
                "ratio": float(ratio.ratio),
                "as_stated": ratio.as_claimed,
                "time_ratio": float(ratio.time) if ratio.time else None,
            }
            for ratio in one.ratios
        ],
    }


def _slope(slope: MeasuredSlope) -> dict[str, Any]:
    return {
        "symbol": slope.symbol,
        "stated": list(slope.stated),
        "measured": slope.measured,
        "derived": slope.derived,
        "power": slope.power,
        "time": slope.time,
        "leading": list(slope.leading) if slope.leading else None,
    }
