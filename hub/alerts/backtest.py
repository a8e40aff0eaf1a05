"""What would a rule have done? The same judging and the same states, over the tiers.

The hours come first: one whose extremes are on the same side of every threshold has
nothing to add. Only around the others the minutes are read. What the time does not
allow is left out, and said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from hub.alerts import matchers, past_forecast, past_silence
from hub.alerts.conditions import Floats, rolling
from hub.alerts.ledger import moment
from hub.alerts.plan import bound
from hub.alerts.replay import Firing, Tried, replay
from hub.alerts.spec import Aggregation, Kind, Spec, as_single
from hub.machines.models import Machine
from hub.storage.layouts import SeriesInfo
from hub.storage.window import Selector, WindowSeries, window

DAYS = 7
HOUR_MS = 3_600_000
# Minutes are fine enough for rules that speak of minutes.
FINE_S = 60
MAX_FINE_POINTS = 5_000
# Of a page: the answer is wanted while one types.
BUDGET_S = 0.8
MAX_LINES = 3


@dataclass(slots=True)
class BackTest:
    start: datetime
    end: datetime
    # Machines that were looked at, of all that the rule is about.
    looked_at: int = 0
    covered: int = 0
    series: int = 0
    fired: list[Tried] = field(default_factory=list)
    # Of those that did not fire, the one that came closest.
    closest: list[Tried] = field(default_factory=list)

    @property
    def times(self) -> int:
        return sum(len(tried.firings) for tried in self.fired)

    @property
    def machines(self) -> int:
        return len({tried.machine.pk for tried in self.fired})

    @property
    def lines(self) -> list[Tried]:
        ranked = sorted(self.fired, key=lambda tried: -len(tried.firings))
        return (ranked or self.closest)[:MAX_LINES]


def back_test(
    spec: Spec,
    machines: Sequence[Machine],
    now: datetime,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> BackTest:
    """Try a rule on the last days of these machines, within BUDGET_S."""
    found = BackTest(now - timedelta(days=DAYS), now, covered=len(machines))
    started_s = clock()
    closest: tuple[float, Tried] | None = None
    for machine in machines:
        for tried in _TRY.get(spec.kind, _try)(spec, machine, found.start, now):
            found.series += 1
            if tried.firings:
                found.fired.append(tried)
            distance = _distance(spec, tried)
            if closest is None or distance < closest[0]:
                closest = distance, tried
        found.looked_at += 1
        if clock() - started_s > BUDGET_S:
            break
    found.closest = [closest[1]] if closest else []
    return found


def _try(
    spec: Spec, machine: Machine, start: datetime, end: datetime
) -> Iterator[Tried]:
    hours = dict(_read(spec, machine, start, end, points=DAYS * 24))
    suspects = {
        info: mask
        for info, points in hours.items()
        if (mask := _suspicious(spec, points)).any()
    }
    fine: dict[SeriesInfo, list[WindowSeries]] = {info: [] for info in suspects}
    for since, until in _stretches(spec, hours, suspects):
        seconds = (until - since).total_seconds()
        count = max(60, min(MAX_FINE_POINTS, round(seconds / FINE_S)))
        for info, series in _read(spec, machine, since, min(until, end), points=count):
            if info in fine:
                fine[info].append(series)
    for info, points in hours.items():
        firings = _firings(spec, points, fine.get(info, ()))
        yield Tried(machine, info, points.time_ms, points.min, points.max, firings)


_TRY: dict[Kind, Callable[[Spec, Machine, datetime, datetime], Iterator[Tried]]] = {
    Kind.DOWN: past_silence.tried,
    Kind.FORECAST: past_forecast.tried,
}


def _read(
    spec: Spec, machine: Machine, start: datetime, end: datetime, *, points: int
) -> Iterator[tuple[SeriesInfo, WindowSeries]]:
    chosen = [Selector(spec.metric)] + ([Selector(spec.per)] if spec.per else [])
    found = window(machine, chosen, start, end, points=points).series
    divisor = next((s for s in found if s.info.identity == (spec.per, ())), None)
    for series in found:
        if series.info.metric != spec.metric or not matchers.accept(
            spec.matchers, series.info.attributes
        ):
            continue
        if not spec.per:
            yield series.info, series
        elif divisor is not None:
            yield series.info, _divide(series, divisor)


def _divide(series: WindowSeries, by: WindowSeries) -> WindowSeries:
    both, here, there = np.intersect1d(
        series.time_ms, by.time_ms, assume_unique=True, return_indices=True
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        low, avg, high = (
            (part[here] / by.avg[there]).astype(np.float32)
            for part in (series.min, series.avg, series.max)
        )
    known = np.isfinite(avg)
    return WindowSeries(series.info, both[known], low[known], avg[known], high[known])


def _suspicious(spec: Spec, points: WindowSeries) -> NDArray[np.bool_]:
    """Return the hours that must be read finely: a threshold lies within them.

    One that is wholly beyond a threshold, or wholly not, says enough by itself.
    """
    if spec.aggregation in (Aggregation.RATE, Aggregation.CHANGE):
        least = min(abs(threshold) for _, threshold in spec.levels)
        if spec.aggregation is Aggregation.RATE:
            least *= spec.window_s
        # A window of up to an hour may reach into the hour before.
        before = np.roll(points.max, 1), np.roll(points.min, 1)
        span = np.maximum(points.max, before[0]) - np.minimum(points.min, before[1])
        return np.asarray(span >= np.float32(least))
    sign, least = bound(spec)
    worst = points.max if sign > 0 else -points.min
    edges = [threshold for _, threshold in spec.levels]
    edges += [] if spec.clear is None else [as_single(spec.clear)]
    mixed = np.any([(points.min <= e) & (points.max >= e) for e in edges], axis=0)
    return np.asarray((worst >= np.float32(least)) & mixed)


def _stretches(
    spec: Spec,
    hours: dict[SeriesInfo, WindowSeries],
    suspects: dict[SeriesInfo, NDArray[np.bool_]],
) -> list[tuple[datetime, datetime]]:
    """Return the stretches to be read finely: the hours, and what surrounds them."""
    edge_ms = HOUR_MS + round(max(spec.window_s, spec.clear_for_s) * 1000)
    marked: set[int] = set()
    for info, mask in suspects.items():
        marked.update(hours[info].time_ms[mask].tolist())
    found: list[list[int]] = []
    for at_ms in sorted(marked):
        since, until = at_ms - edge_ms, at_ms + HOUR_MS + edge_ms
        if found and since <= found[-1][1]:
            found[-1][1] = max(found[-1][1], until)
        else:
            found.append([since, until])
    return [(moment(since), moment(until)) for since, until in found]


def _firings(
    spec: Spec, hours: WindowSeries, fine: Sequence[WindowSeries]
) -> list[Firing]:
    inside = np.zeros(len(hours.time_ms), bool)
    times, values = [], []
    for part in fine:
        inside |= (hours.time_ms >= part.time_ms[0]) & (
            hours.time_ms <= part.time_ms[-1]
        )
        times.append(part.time_ms)
        values.append(_values(spec, part))
    times.append(hours.time_ms[~inside])
    rest = hours.avg[~inside]
    if spec.aggregation in (Aggregation.RATE, Aggregation.CHANGE):
        # Without a suspicious hour there is no change to speak of.
        rest = np.zeros_like(rest)
    values.append(rest)
    time_ms, joined = np.concatenate(times), np.concatenate(values)
    order = np.argsort(time_ms, kind="stable")
    return replay(spec, time_ms[order], joined[order], gap_ms=2 * HOUR_MS)


def _values(spec: Spec, part: WindowSeries) -> Floats:
    points = {Aggregation.MIN: part.min, Aggregation.MAX: part.max}.get(
        spec.aggregation, part.avg
    )
    if spec.aggregation is Aggregation.LAST:
        return points
    return rolling(spec.aggregation, spec.window_s, part.time_ms, points)


def _distance(spec: Spec, tried: Tried) -> float:
    """Return how far a series stayed from the mildest threshold."""
    sign, least = bound(spec)
    worst = tried.high.max() if sign > 0 else -tried.low.min()
    return float(least - worst)
