"""What a rule would say at this moment, of the newest values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hub.alerts import forecasts
from hub.alerts.conditions import Reading, judge
from hub.alerts.past_silence import SILENCE
from hub.alerts.plan import matching
from hub.alerts.silence import intervals
from hub.alerts.spec import DOWNWARD, Kind, Severity, Spec
from hub.machines.models import Machine
from hub.machines.presence import to_ms
from hub.storage import layouts, states
from hub.storage.layouts import LayoutInfo, SeriesInfo, UnknownLayout
from hub.storage.sample import StoredSample

MAX_SHOWN = 8
# Forecasts read days of each: a preview asks so many machines at most.
MAX_FORETOLD = 20


@dataclass(frozen=True, slots=True)
class Now:
    machine: Machine
    series: SeriesInfo
    value: float
    severity: Severity


@dataclass(frozen=True, slots=True)
class Preview:
    # The worst first, at most MAX_SHOWN.
    worst: list[Now]
    series: int
    machines: int
    beyond: int


def preview(spec: Spec, machines: Sequence[Machine], now_ms: int) -> Preview:
    """Judge the newest values of these machines, without any window or duration."""
    if spec.kind is Kind.DOWN:
        found = _silent(spec, machines, now_ms)
    elif spec.kind is Kind.FORECAST:
        found = _foretold(spec, machines[:MAX_FORETOLD], now_ms)
    else:
        found = _current(spec, machines)
    sign = 1 if spec.operator in DOWNWARD or spec.kind is Kind.FORECAST else -1
    found.sort(key=lambda one: (-one.severity, sign * one.value))
    return Preview(
        found[:MAX_SHOWN],
        len(found),
        len({one.machine.pk for one in found}),
        sum(one.severity is not Severity.NONE for one in found),
    )


def _silent(spec: Spec, machines: Sequence[Machine], now_ms: int) -> list[Now]:
    newest = states.latest(machines)
    found = []
    for machine in machines:
        sample = newest.get(machine.pk)
        if sample is None or _has_left(machine, sample.received_ms):
            continue
        silence = intervals(
            seen_ms=sample.received_ms,
            hears_since_ms=0,
            now_ms=now_ms,
            interval_s=machine.interval_s,
        )
        reading = judge(spec, silence)
        severity = reading.severity if reading else Severity.NONE
        found.append(Now(machine, SILENCE, silence, severity))
    return found


def _has_left(machine: Machine, seen_ms: int) -> bool:
    return machine.left_at is not None and to_ms(machine.left_at) >= seen_ms


def _current(spec: Spec, machines: Sequence[Machine]) -> list[Now]:
    newest = states.latest(machines)
    found: list[Now] = []
    for machine in machines:
        sample = newest.get(machine.pk)
        if sample is not None:
            found += _of_sample(spec, machine, sample)
    return found


def _of_sample(spec: Spec, machine: Machine, sample: StoredSample) -> list[Now]:
    try:
        layout = layouts.get(sample.layout)
    except UnknownLayout:
        return []
    vector = np.frombuffer(sample.values, "<f4")
    divisor = _divisor(spec, layout, vector)
    found = []
    for place in matching(spec, layout):
        value = float(vector[place]) / divisor if divisor else float("nan")
        reading = judge(spec, value)
        if reading is not None:
            # Of a change, the value now says nothing about the threshold.
            severity = Severity.NONE if spec.window_is_change else reading.severity
            found.append(Now(machine, layout.series[place], value, severity))
    return found


def _divisor(
    spec: Spec, layout: LayoutInfo, vector: np.ndarray[tuple[int], np.dtype[np.float32]]
) -> float:
    if not spec.per:
        return 1.0
    place = layout.index(spec.per)
    return float("nan") if place is None else float(vector[place])


def _foretold(spec: Spec, machines: Sequence[Machine], now_ms: int) -> list[Now]:
    found: list[tuple[Machine, SeriesInfo, Reading]] = []
    for machine in machines:
        for info, series in forecasts.read(machine, spec, now_ms):
            found.append((machine, info, forecasts.judge(spec, series)))
    return [Now(m, info, r.value, r.severity) for m, info, r in found if r.severity]
