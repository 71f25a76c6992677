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
    "slope: d log(quantity) / d log(size) over the last doubling of the size, measured and derived. power: of the "
    "largest term of the derived formula there, which decides if both slopes agree within "
    f"{SAME_SLOPE}; else the measured slope must be within {LIKE_A_POWER} of the powers in the statement. leading: the "
    "fitted coefficient of the largest power by the derived one, and its 95 % interval."
)
UNMEASURED = "not measured"


def measured_claims_report(claims: Sequence[MeasuredClaim], machines: Sequence[str]) -> Report:
    """One row per claim, and one per case and options for every claim about a ratio."""
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
    )
    tables = [Table("", _COLUMNS, rows, (_NOTE,))]
    if ratios := tuple(row for one in claims for row in _ratio_rows(one)):
        tables.append(Table("Where the ratios hold", _RATIO_COLUMNS, ratios))
    return Page("What the source document states, and what is measured", tuple(machines), tuple(tables))


def verdict_text(one: MeasuredClaim) -> str:
    """As stated, not as stated, in how many cases, or not measured."""
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
    return "; ".join(_slope_text(one, name) for name in symbols)


def _slope_text(one: MeasuredClaim, symbol: str) -> str:
    slopes = [slope for slope in one.slopes if slope.symbol == symbol]
    measured, derived = (_span(getattr(slope, name) for slope in slopes) for name in ("measured", "derived"))
    stated = _span((bound for slope in slopes for bound in slope.stated), 0)
    label = _LABELS.get(one.claim.quantity, one.claim.quantity)
    power = _span((slope.power for slope in slopes if slope.power is not None), 0)
    text = f"{label} in {symbol}: slope {measured} (derived {derived}), power {power or 'open'} (stated {stated})"
    leading = [slope.leading for slope in slopes if slope.leading]
    if leading:
        margin = max(margin for _, margin in leading)
        text += f", leading {_span([value for value, _ in leading], 3)} ± {margin:.3f}"
    times = [slope.time for slope in slopes if slope.time is not None]
    return f"{text}; time {_span(times)}" if times and one.claim.quantity == "time" else text


def _span(values: Iterable[float], digits: int = 2) -> str:
    """One number, or the first and the last of several that differ."""
    texts = [f"{round(value, digits) + 0.0:.{digits}f}" for value in sorted(values)]
    if not texts:
        return ""
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"


def _ratio_rows(one: MeasuredClaim) -> Iterable[tuple[str | Code, ...]]:
    """The ratios of every group of runs that differ in n alone."""
    groups: dict[str, list[MeasuredRatio]] = {}
    for ratio in one.ratios:
        groups.setdefault(_group(ratio), []).append(ratio)
    for name, ratios in groups.items():
        ratios.sort(key=_length)
        each = ", ".join(f"{_length(r)}: {_short(r, one)}" for r in ratios)
        where = ", ".join(str(_length(ratio)) for ratio in ratios if ratio.as_claimed)
        yield Code(one.technique), one.claim.quote, name, f"n = {each}", f"n = {where}" if where else "nowhere"


def _group(ratio: MeasuredRatio) -> str:
    case = ratio.run.case
    options = [f"{name}: {str(value).lower()}" for name, value in sorted(case.variant.items())]
    sizes = sizes_line({name: size for name, size in case.sizes.items() if name not in ("n", "m")})
    return ", ".join([f"{case.scope} {ratio.run.pass_}", *options, sizes, case.dtype])


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
