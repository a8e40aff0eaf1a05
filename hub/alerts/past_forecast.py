"""What would a forecast have said? Every half hour of the last days, as it was then.

The hours come first: from them one sees where nothing could have been foretold,
because the value had not moved enough for any slope that reaches the limit in time.
Only around the others the points of five minutes are read, and judged as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from hub.alerts import forecasts, matchers, trend
from hub.alerts.conditions import Reading
from hub.alerts.replay import Firing, Tried, replay_readings
from hub.alerts.spec import UPWARD, Severity, Spec
from hub.alerts.trend import Series
from hub.machines.models import Machine
from hub.machines.presence import to_ms
from hub.storage.layouts import SeriesInfo
from hub.storage.window import Selector, WindowSeries, window

STEP_S = 1800.0
GAP_MS = round(3 * STEP_S * 1000)
HOUR_S = 3600.0
FINE_S = trend.RECENT_S / trend.RECENT_POINTS
# Half of all pairs of points lie further apart than this share of the span. So does
# a pair that is as steep as the median slope, and the values reach as far as it does.
REACH = 1 - np.sqrt(0.5)

CLEAR = Reading(float("nan"), Severity.NONE, is_clear=True)

Floats = NDArray[np.float64]


def tried(
    spec: Spec, machine: Machine, start: datetime, end: datetime
) -> Iterator[Tried]:
    """Yield each series of a machine, and when the rule would have fired."""
    before = start - timedelta(seconds=trend.PAST_S)
    hours = list(_read(spec, machine, before, end, HOUR_S))
    first_s = -(-start.timestamp() // STEP_S) * STEP_S
    moments = np.arange(first_s, end.timestamp() + 1, STEP_S)
    suspects = {
        one.info: may for one in hours if (may := _may(spec, one, moments)).any()
    }
    fine: dict[SeriesInfo, WindowSeries] = {}
    if suspects:
        since = start - timedelta(seconds=trend.RECENT_S)
        fine = {one.info: one for one in _read(spec, machine, since, end, FINE_S)}
    for one in hours:
        firings: list[Firing] = []
        if one.info in suspects and one.info in fine:
            readings = _readings(spec, fine[one.info], one, moments, suspects[one.info])
            firings = replay_readings(spec, readings, gap_ms=GAP_MS)
        shown = one.time_ms >= to_ms(start)
        if shown.any():
            times, low, high = one.time_ms[shown], one.min[shown], one.max[shown]
            yield Tried(machine, one.info, times, low, high, firings)


def _read(
    spec: Spec, machine: Machine, start: datetime, end: datetime, step_s: float
) -> Iterator[WindowSeries]:
    points = round((end - start).total_seconds() / step_s)
    found = window(machine, [Selector(spec.metric)], start, end, points=points)
    for series in found.series:
        if matchers.accept(spec.matchers, series.info.attributes):
            yield series


def _readings(
    spec: Spec,
    recent: WindowSeries,
    hours: WindowSeries,
    moments: Floats,
    suspicious: NDArray[np.bool_],
) -> Iterator[tuple[int, Reading]]:
    for at_s, is_suspect in zip(moments.tolist(), suspicious.tolist(), strict=True):
        reading = CLEAR
        if is_suspect:
            series = Series(
                *_between(recent, at_s - trend.RECENT_S, at_s - FINE_S),
                *_between(hours, at_s - trend.PAST_S, at_s - HOUR_S),
            )
            reading = forecasts.judge(spec, series)
        yield round(at_s * 1000), reading


def _between(
    series: WindowSeries, since_s: float, until_s: float
) -> tuple[Floats, Floats]:
    """Return the points that were whole by then: they begin in [since, until]."""
    first = np.searchsorted(series.time_ms, since_s * 1000)
    last = np.searchsorted(series.time_ms, until_s * 1000, side="right")
    values = series.avg[first:last].astype(np.float64)
    return series.time_ms[first:last] / 1000, values


def _may(spec: Spec, hours: WindowSeries, moments: Floats) -> NDArray[np.bool_]:
    """Return the moments at which something could have been foretold."""
    sign = 1.0 if spec.operator in UPWARD else -1.0
    low, high = sorted((sign * hours.min, sign * hours.max), key=lambda one: one.sum())
    limit = min(sign * threshold for _, threshold in spec.levels)
    times = hours.time_ms / 1000
    ends = np.searchsorted(times, moments)
    found = np.zeros(len(moments), bool)
    for span_s in (trend.RECENT_S, trend.DAYS_S):
        # The hour before the span may reach into it.
        starts = np.searchsorted(times, moments - span_s - HOUR_S)
        for place in np.flatnonzero(ends > starts).tolist():
            since, until = starts[place], ends[place]
            way = limit - float(high[max(since, until - 2) : until].max())
            moved = float(high[since:until].max() - low[since:until].min())
            needed = REACH * span_s * way / (spec.horizon_s * forecasts.CLEAR)
            found[place] |= way <= 0 or moved >= needed
    return found
