"""Does a rule make sense? Says what is wrong in sentences, for forms and the API."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from hub.alerts import text
from hub.alerts.spec import DOWNWARD, UPWARD, Aggregation, Kind, Operator, Spec

HOUR_S, DAY_S = 3600.0, 86400.0
MAX_WINDOW_S = HOUR_S
MIN_WINDOW_S = 10.0
MAX_DURATION_S = DAY_S
HORIZONS_S = (HOUR_S, 30 * DAY_S)
# Below is no silence: see `silence.FLOOR_MS`.
MIN_INTERVALS = 3

# What a note may hold: `message.Story.values`.
PLACEHOLDERS = frozenset(
    {"state", "severity", "rule", "machine", "series", "value", "peak", "link"}
)

NO_METRIC = "Choose the metric that this rule is about."

Fault = tuple[str, str]


def faults(spec: Spec) -> Iterator[Fault]:
    """Yield (field, sentence) for each thing that is wrong."""
    if spec.kind is not Kind.DOWN and not spec.metric:
        yield "metric", NO_METRIC
    yield from _thresholds(spec)
    yield from _durations(spec)
    if spec.kind is Kind.FORECAST:
        yield from _forecast(spec)
    if spec.kind is Kind.DOWN:
        yield from _down(spec)


def note_faults(note: str, runbook_url: str) -> Iterator[Fault]:
    for name in text.unknown(note, set(PLACEHOLDERS)):
        known = ", ".join(f"{{{one}}}" for one in sorted(PLACEHOLDERS))
        yield "note", f"There is no placeholder {{{name}}}; there are {known}."
    if runbook_url and not _is_web_address(runbook_url):
        yield "runbook_url", "The runbook must be an http:// or https:// address."


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _thresholds(spec: Spec) -> Iterator[Fault]:
    warning, critical, clear = spec.warning, spec.critical, spec.clear
    if warning is None and critical is None:
        yield "warning", "Give a warning threshold, a critical one, or both."
        return
    if warning is not None and critical is not None and not _graver(spec):
        direction = "above" if spec.operator in UPWARD else "below"
        if spec.operator in (Operator.EQ, Operator.NE):
            yield "critical", "With = or ≠, give one threshold only."
        else:
            yield "critical", f"The critical threshold must be {direction} the warning."
    if clear is None:
        return
    mildest = critical if warning is None else warning
    assert mildest is not None
    if spec.operator in UPWARD and clear > mildest:
        yield "clear", "It must clear at or below the threshold it fires at."
    if spec.operator in DOWNWARD and clear < mildest:
        yield "clear", "It must clear at or above the threshold it fires at."
    if spec.operator in (Operator.EQ, Operator.NE):
        yield "clear", "With = or ≠ there is no threshold to clear at."


def _graver(spec: Spec) -> bool:
    assert spec.warning is not None
    assert spec.critical is not None
    if spec.operator in UPWARD:
        return spec.critical > spec.warning
    return spec.critical < spec.warning if spec.operator in DOWNWARD else False


def _durations(spec: Spec) -> Iterator[Fault]:
    for name, value in (("for_s", spec.for_s), ("clear_for_s", spec.clear_for_s)):
        if value > MAX_DURATION_S:
            yield name, "At most a day: who waits longer wants a longer window."
    if not spec.is_streamed or spec.aggregation is Aggregation.LAST:
        return
    if not MIN_WINDOW_S <= spec.window_s <= MAX_WINDOW_S:
        yield "window_s", "The window must be between 10 s and 1 h."


def _forecast(spec: Spec) -> Iterator[Fault]:
    if spec.operator not in UPWARD | DOWNWARD:
        yield "operator", "A forecast needs a direction: above or below."
    if not HORIZONS_S[0] <= spec.horizon_s <= HORIZONS_S[1]:
        yield "horizon_s", "The horizon must be between 1 h and 30 d."
    if spec.clear is not None:
        yield "clear", "A forecast clears by itself; leave this empty."
    if spec.per:
        yield "per", "A forecast is of one metric; leave this empty."


def _down(spec: Spec) -> Iterator[Fault]:
    if spec.operator not in UPWARD:
        yield "operator", "Silence can only be too long: choose ≥."
    for name, value in (("warning", spec.warning), ("critical", spec.critical)):
        if value is not None and value < MIN_INTERVALS:
            yield name, f"Allow at least {MIN_INTERVALS} intervals of silence."
