"""What would a forecast have said? Every half hour of the last days, as it was then.

The hours come first: from them one sees where nothing could have been foretold,
because the value had not moved enough for any slope that reaches the limit in time,
or had moved over days, but not evenly.
Only before the other moments the points of five minutes are read. Of these, all
windows are first asked together whether there is a rise at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hub.alerts import forecasts, trend
from hub.alerts.conditions import Reading, Times
from hub.alerts.plan import bound, matching
from hub.alerts.replay import Course, Firing, Tried, replay_readings
from hub.alerts.spec import Severity, Spec
from hub.alerts.trend import Series
from hub.machines.models import Machine
from hub.machines.presence import to_ms
from hub.storage.columns import Column, read
from hub.storage.layouts import LayoutInfo
from hub.storage.picked import Span

STEP_MS, HOUR_MS = 1_800_000, 3_600_000
GAP_MS = 3 * STEP_MS
RECENT_MS, DAYS_MS, PAST_MS = (
    round(span_s * 1000) for span_s in (trend.RECENT_S, trend.DAYS_S, trend.PAST_S)
)
FINE_MS = RECENT_MS // trend.RECENT_POINTS
# Half of all pairs of points lie further apart than this share of the span. So does
# a pair that is as steep as the median slope, and the values reach as far as it does.
REACH = 1 - np.sqrt(0.5)

CLEAR = Reading(float("nan"), Severity.NONE, is_clear=True)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


class Hours(NamedTuple):
    """A series by the hour, and what that tells of each moment."""

    column: Column
    past: _Windows
    # Whether the days before it rise evenly.
    lately: Flags
    # Whether anything could have been foretold.
    suspicious: Flags


def tried(
    spec: Spec, machines: Sequence[Machine], start: datetime, end: datetime
) -> Iterator[Tried]:
    """Yield each series of the machines, and when the rule would have fired."""
    by_pk = {machine.pk: machine for machine in machines}
    first, last = to_ms(start), to_ms(end)
    moments = np.arange(-(-first // STEP_MS) * STEP_MS, last + 1, STEP_MS)

    def choose(layout: LayoutInfo) -> list[int]:
        return matching(spec, layout)

    whole = [Span(pk, first - PAST_MS, last) for pk in by_pk]
    found = [look(spec, one, moments) for one in read(whole, choose, HOUR_MS)]
    near = read(_before(found, moments), choose, FINE_MS, averages_only=True)
    fine = {(one.machine, one.info): one for one in near}
    for hours in found:
        one = hours.column
        firings: list[Firing] = []
        recent = fine.get((one.machine, one.info))
        if recent is not None and hours.suspicious.any():
            course = Course(spec, gap_ms=GAP_MS)
            judged = readings(spec, hours, recent, moments, course)
            firings = replay_readings(course, judged)
        shown = one.time_ms >= first
        if shown.any():
            times, low, high = one.time_ms[shown], one.min[shown], one.max[shown]
            yield Tried(by_pk[one.machine], one.info, times, low, high, firings)


def look(spec: Spec, hours: Column, moments: Times) -> Hours:
    """Find the moments at which something could have been foretold."""
    sign, limit = bound(spec)
    low, high = (hours.min, hours.max) if sign > 0 else (-hours.max, -hours.min)
    lows, highs = (
        _Grid(hours.time_ms, low, moments),
        _Grid(hours.time_ms, -high, moments),
    )
    # What is foretold begins with the present value, which is of the last hours.
    way = limit + highs.least(RECENT_MS)

    def may_reach(span_ms: int) -> Flags:
        moved = -highs.least(span_ms) - lows.least(span_ms)
        reach_s = spec.horizon_s * forecasts.CLEAR
        return np.asarray(moved >= REACH * span_ms / 1000 * way / reach_s)

    past = _Windows.before(moments, hours, PAST_MS, HOUR_MS)
    lately = may_reach(DAYS_MS)
    if lately.any():
        lately &= past.lately(DAYS_MS).are_spread(spec)
    return Hours(hours, past, lately, may_reach(RECENT_MS) | lately)


def readings(
    spec: Spec,
    hours: Hours,
    recent: Column,
    moments: Times,
    course: Course | None = None,
) -> Iterator[tuple[int, Reading]]:
    """Yield what is foretold at each moment, by the points that were whole then.

    Of what the course does not ask at that moment, nothing is said.
    """
    near = _Windows.before(moments, recent, RECENT_MS, FINE_MS)
    recently = near.are_spread(spec)
    asked = hours.suspicious & (recently | hours.lately | near.reach(spec))
    spread = list(zip(recently.tolist(), hours.lately.tolist(), strict=True))
    for number, at_ms in enumerate(moments.tolist()):
        reading = CLEAR
        if asked[number]:
            series = Series(*near.of(number), *hours.past.of(number))
            is_open = course is None or course.is_open
            reading = forecasts.judge(spec, series, spread[number], is_open=is_open)
        yield at_ms, reading


class _Windows:
    """The points of a series that each moment looks back at: [first, last) of all."""

    def __init__(self, series: Column, first: Places, last: Places) -> None:
        self._series, self._first, self._last = series, first, last
        self._values = series.avg.astype(np.float64)

    @classmethod
    def before(
        cls, moments: Times, series: Column, span_ms: int, width_ms: int
    ) -> _Windows:
        """Return those that begin in [moment - span, moment - width]."""
        first = np.searchsorted(series.time_ms, moments - span_ms)
        last = np.searchsorted(series.time_ms, moments - width_ms, side="right")
        return cls(series, first, last)

    def lately(self, span_ms: int) -> _Windows:
        """Return the last of each: as far back from its last point as the span."""
        ends_ms = self._series.time_ms[np.maximum(self._last - 1, 0)]
        first = np.searchsorted(self._series.time_ms, ends_ms - span_ms)
        first = np.minimum(np.maximum(first, self._first), self._last)
        return _Windows(self._series, first, self._last)

    def of(self, number: int) -> tuple[Floats, Floats]:
        own = slice(self._first[number], self._last[number])
        return self._series.time_ms[own] / 1000, self._values[own]

    def are_spread(self, spec: Spec) -> Flags:
        """Return what `trend.is_spread` says of each that has points enough."""
        sign, _ = bound(spec)
        counts = self._last - self._first
        found = counts >= trend.MIN_POINTS
        # Mostly they are whole, and so all as long.
        for count in np.unique(counts[found]).tolist():
            same = np.flatnonzero(counts == count)
            many = sliding_window_view(self._values, count)[self._first[same]]
            found[same] = trend.are_spread(sign * many)
        return found

    def reach(self, spec: Spec) -> Flags:
        """Tell of each whether its present value is beyond the mildest threshold."""
        sign, limit = bound(spec)
        found = np.zeros(len(self._first), np.bool_)
        there = np.flatnonzero(self._last - self._first >= trend.MIN_POINTS)
        newest = sign * sliding_window_view(self._values, 3)[self._last[there] - 3]
        found[there] = np.sort(newest, axis=1)[:, 1] >= limit
        return found


class _Grid:
    """Hours, each in its place, so that windows of them can be looked at at once."""

    def __init__(
        self, time_ms: Times, values: NDArray[np.float32], moments: Times
    ) -> None:
        # The hour before the longest span may reach into it.
        first = (int(moments[0]) - DAYS_MS) // HOUR_MS - 1
        self._ends = -(-moments // HOUR_MS) - first
        self._values = np.full(int(self._ends[-1]), np.inf)
        places = time_ms // HOUR_MS - first
        inside = (places >= 0) & (places < len(self._values))
        self._values[places[inside]] = values[inside]

    def least(self, span_ms: int) -> Floats:
        """Return the lowest value before each moment, an hour more than the span."""
        width = span_ms // HOUR_MS + 1
        found = sliding_window_view(self._values, width).min(axis=1)
        return np.asarray(found[self._ends - width])


def _before(found: Sequence[Hours], moments: Times) -> list[Span]:
    """Return the stretches that forecasts at these moments look at, by machine."""
    by_machine: dict[int, Flags] = {}
    for hours in found:
        machine = hours.column.machine
        known = by_machine.get(machine)
        by_machine[machine] = (
            hours.suspicious if known is None else known | hours.suspicious
        )
    spans: list[Span] = []
    for machine, marked in by_machine.items():
        for at_ms in moments[marked].tolist():
            start = at_ms - RECENT_MS
            if spans and spans[-1].machine == machine and start <= spans[-1].end:
                spans[-1] = spans[-1]._replace(end=at_ms)
            else:
                spans.append(Span(machine, start, at_ms))
    return spans
