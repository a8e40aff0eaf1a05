"""Forecast rules: read the tiers now and then, and judge what they foretell."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import timedelta

import numpy as np

from hub.alerts import matchers, trend
from hub.alerts.conditions import Reading
from hub.alerts.ledger import moment
from hub.alerts.plan import series_key
from hub.alerts.rulebook import Entry, Rulebook
from hub.alerts.spec import UPWARD, Kind, Severity, Spec
from hub.alerts.trend import Series, Spread
from hub.alerts.watched import Change, Subject, Watched
from hub.machines.models import Machine
from hub.storage.layouts import SeriesInfo
from hub.storage.window import Selector, WindowSeries, window

# Hours are foretold from hours: a few minutes make no difference.
EVERY_MS = 600_000
GAP_MS = 3 * EVERY_MS
# Of each breath; a large fleet takes its turn, the samples do not wait.
BUDGET_S = 0.25
# Clear is beyond the horizon by a quarter: the estimate sways.
CLEAR = 1.25


class Forecasts:
    """Remembers when each machine was looked at."""

    def __init__(self) -> None:
        self._due_ms: dict[int, int] = {}

    def look(
        self, machines: Mapping[int, Watched], book: Rulebook, now_ms: int
    ) -> list[Change]:
        """Judge the machines that are due, as far as the time allows."""
        entries = book.of_kind(Kind.FORECAST)
        if not entries:
            return []
        started_s = time.perf_counter()
        changes: list[Change] = []
        due = [pk for pk in machines if self._due_ms.get(pk, 0) <= now_ms]
        for pk in sorted(due, key=lambda pk: self._due_ms.get(pk, 0)):
            covering = [entry for entry in entries if entry.covers(pk)]
            self._due_ms[pk] = now_ms + EVERY_MS
            if covering and pk != book.canary:
                changes += _judge(machines[pk], covering, now_ms)
            if time.perf_counter() - started_s > BUDGET_S:
                break
        for pk in self._due_ms.keys() - machines.keys():
            del self._due_ms[pk]
        return changes


def read(
    machine: Machine, spec: Spec, now_ms: int
) -> Iterator[tuple[SeriesInfo, Series]]:
    """Yield the series that a forecast is about, with their hours and days."""
    end = moment(now_ms)
    chosen = [Selector(spec.metric)]
    recent = window(
        machine,
        chosen,
        end - timedelta(seconds=trend.RECENT_S),
        end,
        points=trend.RECENT_POINTS,
    )
    past = window(
        machine,
        chosen,
        end - timedelta(seconds=trend.PAST_S),
        end,
        points=trend.PAST_POINTS,
    )
    by_identity = {series.info.identity: series for series in past.series}
    for series in recent.series:
        if matchers.accept(spec.matchers, series.info.attributes):
            yield series.info, _series(series, by_identity.get(series.info.identity))


def judge(
    spec: Spec, series: Series, spread: Spread | None = None, *, is_open: bool = True
) -> Reading:
    """Return what a series foretells; the value is in seconds, NaN = nothing.

    Where no alert is open, nobody asks whether it would be clear.
    """
    outlook = trend.Outlook(series, upward=spec.operator in UPWARD, spread=spread)
    for severity, limit in spec.levels:
        reach_s = outlook.seconds_until(limit, spec.horizon_s)
        if reach_s is not None and reach_s <= spec.horizon_s:
            return Reading(reach_s, severity, is_clear=False)
    if not is_open:
        return Reading(float("nan"), Severity.NONE, is_clear=True)
    _, limit = spec.levels[-1]
    nearly = outlook.seconds_until(limit, spec.horizon_s * CLEAR)
    return Reading(float("nan"), Severity.NONE, is_clear=nearly is None)


def _judge(watched: Watched, entries: list[Entry], now_ms: int) -> list[Change]:
    machine = Machine(pk=watched.pk, interval_s=watched.interval_s)
    changes = []
    for entry in entries:
        seen = set()
        for info, series in read(machine, entry.spec, now_ms):
            key = entry.spec.rule, series_key(info)
            seen.add(key)
            change = watched.judge(
                Subject(entry.spec, info),
                key,
                judge(entry.spec, series),
                now_ms,
                gap_ms=GAP_MS,
            )
            changes.append(change)
        rule = entry.spec.rule
        gone = [key for key in watched.states if key[0] == rule and key not in seen]
        changes += [watched.end_if_gone(key, now_ms) for key in gone]
    return [change for change in changes if change is not None]


def _series(recent: WindowSeries, past: WindowSeries | None) -> Series:
    past = past or recent
    return Series(
        recent.time_ms / 1000,
        recent.avg.astype(np.float64),
        past.time_ms / 1000,
        past.avg.astype(np.float64),
    )
