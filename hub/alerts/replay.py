"""A rule's states over what was: when it would have opened, and when resolved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hub.alerts.conditions import Floats, Reading, Times, judge
from hub.alerts.plan import bound
from hub.alerts.spec import Severity, Spec
from hub.alerts.state import REST, Happening, Phase, State, step
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

    def end(self) -> list[Firing]:
        if self.state.phase is Phase.FIRING:
            self._found.append(Firing(self._opened_ms, None, self._severity))
        return self._found


def replay(spec: Spec, time_ms: Times, values: Floats, *, gap_ms: int) -> list[Firing]:
    """Step through a series, and return when the rule would have fired."""
    sign, least = bound(spec)
    beyond = np.flatnonzero(np.float32(sign) * values >= np.float32(least))
    moments, floats = time_ms.tolist(), values.astype(np.float64).tolist()
    course = Course(spec, gap_ms=gap_ms)
    place, count = 0, len(moments)
    while place < count:
        if course.state.phase is Phase.OK:
            # What is not beyond changes nothing then.
            following = np.searchsorted(beyond, place)
            if following == len(beyond):
                break
            place = int(beyond[following])
        course.take(moments[place], judge(spec, floats[place]))
        place += 1
    return course.end()


def replay_readings(
    spec: Spec, readings: Iterable[tuple[int, Reading | None]], *, gap_ms: int
) -> list[Firing]:
    """Step through readings that were judged already."""
    course = Course(spec, gap_ms=gap_ms)
    for at_ms, reading in readings:
        course.take(at_ms, reading)
    return course.end()
