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
from hub.alerts.state import (
    REST,
    Happening,
    Phase,
    State,
    settling_ms,
    step,
)
from hub.machines.models import Machine
from hub.storage.layouts import SeriesInfo

Flags = NDArray[np.bool_]


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

    @property
    def is_open(self) -> bool:
        return self.state.phase is Phase.FIRING

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
        if self.is_open:
            self._found.append(Firing(self._opened_ms, None, self._severity))
        return self._found


def replay(spec: Spec, time_ms: Times, values: Floats, *, gap_ms: int) -> list[Firing]:
    """Step through a series, ascending, and return when the rule would have fired.

    NaN = no data.
    """
    if spec.no_data is NoData.IGNORE:
        known = ~np.isnan(values)
        time_ms, values = time_ms[known], values[known]
    said = _Said(spec, time_ms, values, gap_ms)
    course = Course(spec, gap_ms=gap_ms)
    moments = time_ms.tolist()
    place = 0
    while (following := said.turning(course.state, place)) is not None:
        course.take(moments[following], judge(spec, float(values[following])))
        place = following + 1
    return course.end()


def replay_readings(
    course: Course, readings: Iterable[tuple[int, Reading | None]]
) -> list[Firing]:
    """Step through readings that were judged already."""
    for at_ms, reading in readings:
        is_calm = reading is not None and reading.severity is Severity.NONE
        # What is not beyond changes nothing then.
        if not is_calm or course.state.phase is not Phase.OK:
            course.take(at_ms, reading)
    return course.end()


class _Said:
    """What each reading of a series says, and where a state may change by it."""

    def __init__(self, spec: Spec, time_ms: Times, values: Floats, gap_ms: int) -> None:
        self._spec, self._time_ms = spec, time_ms
        self._severity, self._clear = judge_all(spec, values)
        unknown = np.isnan(values)
        fires = spec.no_data is NoData.FIRE
        self._severity[unknown] = spec.mildest if fires else Severity.NONE
        self._clear[unknown] = not fires
        self._breaks = np.diff(time_ms, prepend=0) > gap_ms
        self._known: dict[tuple[Severity, float], list[int]] = {}

    def turning(self, state: State, place: int) -> int | None:
        """Return the first place from here on at which the state may change."""
        asked = state.severity, settling_ms(self._spec, state.flaps)
        places = self._known.get(asked)
        if places is None:
            places = self._known[asked] = self._turns(*asked)
        following = bisect_left(places, place)
        return places[following] if following < len(places) else None

    def _turns(self, severity: Severity, calm_ms: float) -> list[int]:
        """Return the places that matter to an alert so severe; NONE = there is none."""
        for_ms = self._spec.for_s * 1000
        if severity is Severity.NONE:
            found = self._lasting(self._severity > Severity.NONE, for_ms)
        else:
            found = self._lasting(self._clear, calm_ms)
        # A firing is as grave as it ever was: that it eased changes nothing.
        if severity is Severity.WARNING:
            found |= self._lasting(self._severity == Severity.CRITICAL, for_ms)
        places: list[int] = np.flatnonzero(found).tolist()
        return places

    def _lasting(self, said: Flags, needed_ms: float) -> Flags:
        """Return which readings are part of what is said for so long.

        What does not last comes to nothing, and nobody need look at it.
        """
        begins = self._breaks.copy()
        begins[:1] = True
        begins[1:] |= said[1:] != said[:-1]
        edges = np.append(np.flatnonzero(begins), len(begins))
        first, last = edges[:-1], edges[1:] - 1
        lasted_ms = self._time_ms[last] - self._time_ms[first]
        return np.repeat(said[first] & (lasted_ms >= needed_ms), np.diff(edges))
