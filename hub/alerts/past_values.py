"""When would a threshold or a change have fired? By the minutes, where they matter.

The hours come first: one whose extremes are on the same side of every threshold has
nothing to add. Only around the others the minutes are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from hub.alerts import past_silence
from hub.alerts.conditions import Floats, Times, rolling
from hub.alerts.plan import bound, matching
from hub.alerts.replay import Firing, Tried, replay
from hub.alerts.spec import Aggregation, NoData, Spec, as_single
from hub.machines.models import Machine
from hub.machines.presence import to_ms
from hub.storage.columns import Column, read
from hub.storage.layouts import LayoutInfo
from hub.storage.picked import Span

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
# The longest window: stretches that are nearer would be in one.
APART_MS = 2 * HOUR_MS
GAP_MS = 2 * HOUR_MS


def tried(
    spec: Spec, machines: Sequence[Machine], start: datetime, end: datetime
) -> Iterator[Tried]:
    """Yield each series of the machines, and when the rule would have fired."""
    by_pk = {machine.pk: machine for machine in machines}
    whole = [Span(pk, to_ms(start), to_ms(end)) for pk in by_pk]
    hours = _values(spec, whole, HOUR_MS)
    spans = _suspicious(spec, hours, to_ms(end))
    every = [span for some in spans.values() for span in some]
    fine = {(one.machine, one.info): one for one in _values(spec, every, MINUTE_MS)}
    silent: Mapping[int, Times] = {}
    if spec.no_data is not NoData.IGNORE:
        silent = past_silence.moments(machines, start, end)
    for one in hours:
        firings = _firings(
            spec,
            one,
            fine.get((one.machine, one.info)),
            spans.get(one.machine, ()),
            silent.get(one.machine),
        )
        machine = by_pk[one.machine]
        yield Tried(machine, one.info, one.time_ms, one.min, one.max, firings)


def _values(spec: Spec, spans: Sequence[Span], width_ms: int) -> list[Column]:
    """Read what the rule is about, divided where it says so."""

    def choose(layout: LayoutInfo) -> list[int]:
        by = layout.index(spec.per) if spec.per else None
        if spec.per and by is None:
            return []
        return sorted({*matching(spec, layout), *([] if by is None else [by])})

    # Of minutes only windows of their extremes ask for more.
    is_average = spec.aggregation not in (Aggregation.MIN, Aggregation.MAX)
    is_fine = width_ms == MINUTE_MS
    found = read(spans, choose, width_ms, averages_only=is_average and is_fine)
    if not spec.per:
        return found
    divisor = (spec.per, ())
    by = {one.machine: one for one in found if one.info.identity == divisor}
    return [
        _divided(one, by[one.machine])
        for one in found
        if one.info.metric == spec.metric and one.machine in by
    ]


def _divided(series: Column, by: Column) -> Column:
    both, here, there = np.intersect1d(
        series.time_ms, by.time_ms, assume_unique=True, return_indices=True
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        low, avg, high = (
            (part[here] / by.avg[there]).astype(np.float32)
            for part in (series.min, series.avg, series.max)
        )
    known = np.isfinite(avg)
    return series._replace(
        time_ms=both[known], min=low[known], avg=avg[known], max=high[known]
    )


def is_mixed(spec: Spec, hours: Column) -> NDArray[np.bool_]:
    """Return the hours that must be read finely: a threshold lies within them.

    One that is wholly beyond a threshold, or wholly not, says enough by itself.
    """
    if spec.window_is_change:
        least = min(abs(threshold) for _, threshold in spec.levels)
        if spec.aggregation is Aggregation.RATE:
            least *= spec.window_s
        # A window of up to an hour may reach into the hour before.
        before = np.roll(hours.max, 1), np.roll(hours.min, 1)
        span = np.maximum(hours.max, before[0]) - np.minimum(hours.min, before[1])
        return np.asarray(span >= np.float32(least))
    sign, least = bound(spec)
    worst = hours.max if sign > 0 else -hours.min
    edges = [threshold for _, threshold in spec.levels]
    edges += [] if spec.clear is None else [as_single(spec.clear)]
    mixed = np.any([(hours.min <= e) & (hours.max >= e) for e in edges], axis=0)
    return np.asarray((worst >= np.float32(least)) & mixed)


def _suspicious(spec: Spec, hours: Sequence[Column], end: int) -> dict[int, list[Span]]:
    """Return the stretches to be read finely: the hours, and what surrounds them."""
    edge_ms = HOUR_MS + round(max(spec.window_s, spec.clear_for_s) * 1000)
    edge_ms = -(-edge_ms // MINUTE_MS) * MINUTE_MS
    marked: dict[int, list[Times]] = {}
    for one in hours:
        marked.setdefault(one.machine, []).append(one.time_ms[is_mixed(spec, one)])
    found: dict[int, list[Span]] = {}
    for machine, some in marked.items():
        at_ms = np.unique(np.concatenate(some))
        if len(at_ms):
            first, last = at_ms - edge_ms, np.minimum(at_ms + HOUR_MS + edge_ms, end)
            apart = np.flatnonzero(first[1:] > last[:-1] + APART_MS)
            starts, ends = first[np.append(0, apart + 1)], last[np.append(apart, -1)]
            pairs = zip(starts.tolist(), ends.tolist(), strict=True)
            found[machine] = [Span(machine, *pair) for pair in pairs]
    return found


def _firings(
    spec: Spec,
    hours: Column,
    fine: Column | None,
    spans: Sequence[Span],
    silent: Times | None,
) -> list[Firing]:
    inside = np.zeros(len(hours.time_ms), bool)
    times, values = [], []
    if fine is not None:
        for span in spans:
            inside |= (hours.time_ms >= span.start) & (hours.time_ms < span.end)
        read_as = _windows(spec, fine)
        # What has no window yet is judged by nobody, and is no silence either.
        known = ~np.isnan(read_as)
        times.append(fine.time_ms[known])
        values.append(read_as[known])
    times.append(hours.time_ms[~inside])
    rest = hours.avg[~inside]
    # Without a suspicious hour there is no change to speak of.
    values.append(np.zeros_like(rest) if spec.window_is_change else rest)
    if silent is not None:
        times.append(silent)
        values.append(np.full(len(silent), np.nan, np.float32))
    time_ms, first = np.unique(np.concatenate(times), return_index=True)
    return replay(spec, time_ms, np.concatenate(values)[first], gap_ms=GAP_MS)


def _windows(spec: Spec, fine: Column) -> Floats:
    points = {Aggregation.MIN: fine.min, Aggregation.MAX: fine.max}.get(
        spec.aggregation, fine.avg
    )
    if spec.aggregation is Aggregation.LAST:
        return points
    return rolling(spec.aggregation, spec.window_s, fine.time_ms, points)
