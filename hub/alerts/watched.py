"""One machine as the evaluation sees it: its windows, its states, its position."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from typing import NamedTuple

import numpy as np

from hub.alerts import lateness
from hub.alerts.conditions import Floats, Reading, judge
from hub.alerts.lateness import Pace
from hub.alerts.models import Alert
from hub.alerts.plan import History, Key, Pair, Plan
from hub.alerts.rulebook import Entry
from hub.alerts.spec import DOWNWARD, UPWARD, Kind, Spec
from hub.alerts.state import (
    REST,
    Happening,
    Phase,
    State,
    ended,
    is_at_rest,
    step,
)
from hub.machines.presence import to_ms
from hub.storage.layouts import SeriesInfo
from hub.storage.sample import StoredSample

# A series that is gone from its machine's layout may come back: an agent restarts,
# a disk is mounted again. After this its alert ends.
GONE_MS = 300_000
GONE = "The series is gone."


class Subject(NamedTuple):
    """What a state is about."""

    spec: Spec
    # None: the machine itself.
    series: SeriesInfo | None


class Change(NamedTuple):
    """A state that changed, and what happened by that."""

    machine: int
    key: Key
    # None: whatever it was, it is not covered any more.
    subject: Subject | None
    state: State
    happening: Happening | None
    at_ms: int
    value: float | None = None
    why: str = ""


@dataclass(slots=True)
class Peak:
    """The worst value of an open alert, and the newest."""

    value: float
    at_ms: int
    last: float
    is_written: bool = False


class Position(NamedTuple):
    """The last sample that was judged, and the machine's pace. Milliseconds."""

    received_ms: int = 0
    time_ms: int = 0
    offset_ms: int | None = None


class Watched:
    def __init__(
        self, pk: int, interval_s: float, position: Position | None = None
    ) -> None:
        self.pk = pk
        self.interval_s = interval_s
        self.gap_ms = lateness.limit_ms(interval_s)
        self.position = position or Position()
        self.states: dict[Key, State] = {}
        self.peaks: dict[Key, Peak] = {}
        # Open alerts' primary keys.
        self.alerts: dict[Key, int] = {}
        # The last sample by the hub's clock, judged or late.
        self.seen_ms: int | None = self.position.received_ms or None
        self.left_ms: int | None = None
        self.plan: Plan | None = None
        self._pace = Pace(self.position.offset_ms)
        self._histories: list[History] = []
        self._active: set[int] = set()
        self._gone: dict[Key, int] = {}

    def put_plan(self, plan: Plan) -> None:
        """Judge by another plan from now on; windows of the same kind are kept."""
        if plan is self.plan:
            return
        known = {history.group.window: history for history in self._histories}
        self.plan = plan
        self._histories = [History(group) for group in plan.groups]
        for history in self._histories:
            if history.group.window in known:
                history.carry_on(known[history.group.window])
        self._look_up_active()

    def restore(self, states: Iterable[tuple[Key, State]]) -> None:
        """Take states that were stored; a position knows the time better than they."""
        for key, state in states:
            last_ms = max(state.last_ms, self.position.received_ms)
            self.states[key] = state._replace(last_ms=last_ms)
        self._look_up_active()

    def restore_peak(self, key: Key, alert: Alert) -> None:
        if alert.peak_value is None or alert.peak_at is None:
            return
        last = alert.peak_value if alert.last_value is None else alert.last_value
        at_ms = round(alert.peak_at.timestamp() * 1000)
        self.peaks[key] = Peak(alert.peak_value, at_ms, last, is_written=True)

    def set_alert(self, key: Key, alert: int | None) -> None:
        """Know a key's open alert; None = it has none any more."""
        if alert is None:
            self.alerts.pop(key, None)
            self.peaks.pop(key, None)
        else:
            self.alerts[key] = alert

    def set_interval(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self.gap_ms = lateness.limit_ms(interval_s)

    def set_left(self, left_at: datetime | None) -> None:
        self.left_ms = None if left_at is None else to_ms(left_at)

    def hear_nothing(self, entries: Iterable[Entry], at_ms: int) -> list[Change]:
        """Judge the silence of the whole machine, for rules that count it."""
        if self.plan is None:
            return []
        rules = {entry.spec.rule for entry in entries}
        found = (
            self._judge(pair, float("nan"), at_ms)
            for pair in self.plan.pairs
            if pair.spec.rule in rules
        )
        return [change for change in found if change is not None]

    def take(self, sample: StoredSample) -> list[Change]:
        """Judge a sample; one that is late or was judged before changes nothing."""
        values = self._admit(sample)
        if values is None or self.plan is None:
            return []
        plan, at_ms = self.plan, sample.received_ms
        places = self._active.union(plan.candidates(values))
        changes = [
            change
            for place in sorted(places)
            if (change := self._judge(plan.pairs[place], float(values[place]), at_ms))
        ]
        if self._gone:
            changes += self._drop_gone(at_ms)
        return changes

    def hear(self, received_ms: int, now_ms: int) -> None:
        """Know that the machine is there, whatever it says."""
        # By a clock that is ahead of ours it would be missed only when we get there.
        self.seen_ms = min(max(self.seen_ms or 0, received_ms), now_ms)

    def warm(self, sample: StoredSample) -> None:
        """Fill the windows with a sample that was judged before."""
        self._remember(sample)

    def judge(
        self,
        subject: Subject,
        key: Key,
        reading: Reading | None,
        at_ms: int,
        *,
        gap_ms: int | None = None,
    ) -> Change | None:
        """Step one state; return what changed, beyond the time."""
        before = self.states.get(key, REST)
        state, happening = step(
            subject.spec,
            before,
            reading,
            at_ms,
            gap_ms=self.gap_ms if gap_ms is None else gap_ms,
        )
        if is_at_rest(state, at_ms):
            self.states.pop(key, None)
            state = State(last_ms=state.last_ms)
        else:
            self.states[key] = state
        value = None if reading is None or isnan(reading.value) else reading.value
        if state.phase is Phase.FIRING and value is not None:
            self._note_peak(subject.spec, key, value, at_ms)
        if before._replace(last_ms=state.last_ms) == state and happening is None:
            return None
        return Change(self.pk, key, subject, state, happening, at_ms, value)

    def end(self, key: Key, at_ms: int, why: str) -> Change | None:
        """End a state for another reason than its value."""
        state = self.states.pop(key, None)
        if state is None:
            return None
        was_firing = state.phase is Phase.FIRING
        after = ended(state, at_ms) if was_firing else REST
        if was_firing:
            self.states[key] = after
        happening = Happening.RESOLVED if was_firing else None
        return Change(self.pk, key, None, after, happening, at_ms, None, why)

    def end_if_gone(self, key: Key, at_ms: int) -> Change | None:
        """End a state whose series has not been there for a while."""
        since = self._gone.setdefault(key, at_ms)
        if at_ms - since <= GONE_MS:
            return None
        del self._gone[key]
        return self.end(key, at_ms, GONE)

    # -- a sample

    def _admit(self, sample: StoredSample) -> Floats | None:
        at_ms, time_ms = sample.received_ms, sample.time_ms
        offset = self._pace.offset_ms
        self._pace, is_in_time = lateness.admit(
            self._pace, time_ms, at_ms, limit=self.gap_ms
        )
        if not is_in_time:
            return None
        last = self.position
        new_offset = self._pace.offset_ms
        was_set = (
            offset is not None
            and new_offset is not None
            and abs(new_offset - offset) > self.gap_ms
        )
        if was_set:
            # The machine's clock was set: its times mean something else now.
            self._histories = (
                [History(g) for g in self.plan.groups] if self.plan else []
            )
        elif time_ms <= last.time_ms:
            return None
        self.position = Position(max(at_ms, last.received_ms), time_ms, new_offset)
        return self._remember(sample)

    def _remember(self, sample: StoredSample) -> Floats | None:
        if self.plan is None or not self.plan.pairs:
            return None
        vector = np.frombuffer(sample.values, "<f4")
        if len(vector) != len(self.plan.layout.series):
            return None
        values = self.plan.newest(vector)
        for group, history in zip(self.plan.groups, self._histories, strict=True):
            history.add(sample.time_ms, values)
            values[group.pairs] = history.value()
        return values

    def _judge(self, pair: Pair, value: float, at_ms: int) -> Change | None:
        change = self.judge(
            Subject(pair.spec, pair.series), pair.key, judge(pair.spec, value), at_ms
        )
        assert self.plan is not None
        place = self.plan.place[pair.key]
        if pair.key in self.states:
            self._active.add(place)
        else:
            self._active.discard(place)
        return change

    def _note_peak(self, spec: Spec, key: Key, value: float, at_ms: int) -> None:
        peak = self.peaks.get(key)
        if peak is None:
            self.peaks[key] = Peak(value, at_ms, value)
            return
        peak.last, peak.is_written = value, False
        if is_worse(spec, value, peak.value):
            peak.value, peak.at_ms = value, at_ms

    # -- series that are gone

    def _look_up_active(self) -> None:
        if self.plan is None:
            return
        place, rules = self.plan.place, self.plan.rules
        self._active = {place[key] for key in self.states if key in place}
        gone = [key for key in self.states if key not in place and key[0] in rules]
        since = self.position.received_ms
        others = {k: at for k, at in self._gone.items() if k[0] not in rules}
        self._gone = others | {key: self._gone.get(key, since) for key in gone}

    def _drop_gone(self, at_ms: int) -> list[Change]:
        rules = self.plan.rules if self.plan else ()
        gone = [key for key in self._gone if key[0] in rules]
        found = [self.end_if_gone(key, at_ms) for key in gone]
        return [change for change in found if change is not None]


def is_worse(spec: Spec, value: float, than: float) -> bool:
    if spec.kind is Kind.FORECAST:
        return value < than
    if spec.operator in UPWARD:
        return value > than
    return value < than if spec.operator in DOWNWARD else True
