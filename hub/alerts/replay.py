"""A rule's states over what was: when it would have opened, and when resolved.

Only the moments at which a state can change are stepped through.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.alerts.conditions import Floats, Reading, Times, judge, judge_all
from hub.alerts.spec import NoData, Severity, Spec
from hub.alerts.state import REST, Happening, Phase, State, next_ms, step
from hub.machines.models import Machine
from hub.storage.layouts import SeriesInfo


@dataclass(frozen=True, slots=True)
class Firing:
    start_ms: int
    # None: it would be firing now.
    end_ms: int | None
    severity: Severity


@dataclass(frozen=True, slots=True)
class Tried:
    """One series: its hours, and when the rule would have fired."""

    machine: Machine
    series: SeriesInfo
    time_ms: Times
    low: Floats
    high: Floats
    firings: list[Firing]


class Course:
    """Takes readings in their order; knows the firings at the end."""

    def __init__(self, spec: Spec, *, gap_ms: int) -> None:
        self.state: State = REST
        self._spec, self._gap_ms = spec, gap_ms
        self._opened_ms, self._severity = 0, Severity.NONE
        self._found: list[Firing] = []

    def take(self, at_ms: int, reading: Reading | None) -> None:
        self.state, happening = step(
            self._spec, self.state, reading, at_ms, gap_ms=self._gap_ms
        )
        if happening is Happening.OPENED:
            self._opened_ms, self._severity = at_ms, self.state.severity
        elif happening is Happening.RESOLVED:
            self._found.append(Firing(self._opened_ms, at_ms, self._severity))
        self._severity = max(self._severity, self.state.severity)

    def pass_over(self, until_ms: int) -> None:
        """Take readings that say the same as the last one, up to a moment."""
        self.state = self.state._replace(last_ms=until_ms)

    def end(self) -> list[Firing]:
        if self.state.phase is Phase.FIRING:
            self._found.append(Firing(self._opened_ms, None, self._severity))
        return self._found


def replay(spec: Spec, time_ms: Times, values: Floats, *, gap_ms: int) -> list[Firing]:
    """Step through a series, ascending, and return when the rule would have fired.

    NaN = no data.
    """
    if spec.no_data is NoData.IGNORE:
        known = ~np.isnan(values)
        time_ms, values = time_ms[known], values[known]
    severity, clear = _said(spec, values)
    breaks = np.diff(time_ms, prepend=-gap_ms) > gap_ms
    same = _Runs(breaks | _changes(severity) | _changes(clear))
    course = Course(spec, gap_ms=gap_ms)
    openers = _lasting(spec, time_ms, severity > Severity.NONE, breaks).tolist()
    moments, floats = time_ms.tolist(), values.astype(np.float64).tolist()
    place, count = 0, len(moments)
    while place < count:
        if course.state.phase is Phase.OK:
            # Whatever does not last for long enough comes to nothing.
            following = bisect_left(openers, place)
            if following == len(openers):
                break
            place = openers[following]
        course.take(moments[place], judge(spec, floats[place]))
        end = same.end(place)
        place += 1
        if place < end:
            due_ms = next_ms(spec, course.state)
            due = end if due_ms is None else bisect_left(moments, due_ms, place)
            until = max(place, min(due, end))
            course.pass_over(moments[until - 1])
            place = until
    return course.end()


def replay_readings(
    spec: Spec, readings: Iterable[tuple[int, Reading | None]], *, gap_ms: int
) -> list[Firing]:
    """Step through readings that were judged already."""
    course = Course(spec, gap_ms=gap_ms)
    for at_ms, reading in readings:
        is_calm = reading is not None and reading.severity is Severity.NONE
        # What is not beyond changes nothing then.
        if not is_calm or course.state.phase is not Phase.OK:
            course.take(at_ms, reading)
    return course.end()


class _Runs:
    """Stretches of readings that say the same, without a gap."""

    def __init__(self, begins: NDArray[np.bool_]) -> None:
        first = np.flatnonzero(begins)
        ends = np.append(first[1:], len(begins))
        found = np.repeat(ends, ends - first) if len(first) else ends
        self._ends: list[int] = found.tolist()

    def end(self, place: int) -> int:
        return self._ends[place]


def _said(spec: Spec, values: Floats) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    severity, clear = judge_all(spec, values)
    unknown = np.isnan(values)
    fires = spec.no_data is NoData.FIRE
    severity[unknown] = spec.mildest if fires else Severity.NONE
    clear[unknown] = not fires
    return severity, clear


def _changes(said: NDArray[np.generic]) -> NDArray[np.bool_]:
    found = np.ones(len(said), np.bool_)
    found[1:] = said[1:] != said[:-1]
    return found


def _lasting(
    spec: Spec, time_ms: Times, beyond: NDArray[np.bool_], breaks: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Return the places in stretches beyond a threshold that last for long enough."""
    first = np.flatnonzero(beyond & (breaks | _changes(beyond)))
    if not len(first):
        return first
    last = np.flatnonzero(beyond & np.append((breaks | _changes(beyond))[1:], True))
    lasts = time_ms[last] - time_ms[first] >= spec.for_s * 1000
    # Where the state becomes OK amid one, it begins again from there.
    inside = [
        np.arange(a, b + 1) for a, b in zip(first[lasts], last[lasts], strict=True)
    ]
    return np.concatenate(inside) if inside else first[:0]
