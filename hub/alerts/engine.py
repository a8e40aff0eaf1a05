"""The evaluation of this process's share of the machines.

Plain calls on one thread: `turn` is given samples and the time, and does all that
is due. Whatever goes wrong with the database, there is one way back: forget, claim,
read the states and positions that were written, and judge again what came since.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from hub.alerts import aftermath, ledger, recent, rulebook, shares
from hub.alerts.conditions import judge
from hub.alerts.forecasts import Forecasts
from hub.alerts.ledger import Noted
from hub.alerts.models import Alert, Blindness, Share
from hub.alerts.plan import Key
from hub.alerts.rulebook import Entry, Rulebook
from hub.alerts.silence import PAUSE_MS, Ears, Stretch, intervals
from hub.alerts.spec import Kind, NoData
from hub.alerts.state import Happening, Phase
from hub.alerts.watched import Change, Peak, Position, Subject, Watched
from hub.log import get_logger
from hub.machines.models import Machine
from hub.storage import layouts
from hub.storage.database import guard
from hub.storage.layouts import UnknownLayout
from hub.storage.models import Heartbeat
from hub.storage.sample import StoredSample

# Renew the lease, write the positions, look at the silent.
BREATH_MS = 5_000
# Rules are read again even when no event said that they changed.
RULES_MS = 30_000
PEAKS_MS = 30_000
# More in one transaction would hold others up; a storm is written in parts.
MAX_CHANGES = 200
# After the database was away.
REST_MS = 2_000

log = get_logger(__name__)

Happened = list[tuple[Alert, Happening]]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Turn:
    """What the world brought since the last turn."""

    samples: Sequence[StoredSample] = ()
    rules_changed: bool = False
    machines_changed: bool = False


@dataclass
class Engine:
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    clock: Callable[[], int] = _now_ms

    def __post_init__(self) -> None:
        self.machines: dict[int, Watched] = {}
        self.mine: frozenset[int] = frozenset()
        self.book = Rulebook()
        self.judged = 0
        self._ears = Ears(self.clock())
        self._forecasts = Forecasts()
        self._changes: list[Change] = []
        self._due = dict.fromkeys(("breath", "rules", "peaks"), 0)
        self._blind: list[Stretch] = []

    def turn(self, turn: Turn) -> Happened:
        """Judge what came, and do what is due; return what happened, committed.

        Raises DatabaseDown. Whatever it raises, nothing is lost: what was not written
        is forgotten, and a later turn begins at what is stored.
        """
        try:
            with guard():
                return self._turn(turn)
        except Exception:
            self._forget()
            self._due = dict.fromkeys(self._due, self.clock() + REST_MS)
            raise

    def close(self) -> Happened:
        """Write what is not written and give the shares up."""
        with guard():
            happened = self._write(self.mine)
            shares.leave(self.name)
        self._forget()
        return happened

    def is_blind(self) -> bool:
        return self._ears.is_blind(self.clock())

    # -- in order

    def _turn(self, turn: Turn) -> Happened:
        now_ms = self.clock()
        happened: Happened = []
        if now_ms >= self._due["rules"] or turn.rules_changed or turn.machines_changed:
            self._due["rules"] = now_ms + RULES_MS
            happened += self._read_rules(now_ms)
        breathes = now_ms >= self._due["breath"]
        if breathes:
            self._due["breath"] = now_ms + BREATH_MS
            self._claim(now_ms)
        for sample in turn.samples:
            self._take(sample)
        if breathes:
            self._look_at_the_silent(now_ms)
            self._changes += self._forecasts.look(self.machines, self.book, now_ms)
            if 0 in self.mine:
                aftermath.complete(ledger.moment(now_ms))
        if self._changes or breathes:
            happened += self._write(self.mine if breathes else self._touched())
        if now_ms >= self._due["peaks"]:
            self._due["peaks"] = now_ms + PEAKS_MS
            self._write_peaks()
        return happened

    def _take(self, sample: StoredSample) -> None:
        is_witness = sample.machine == self.book.canary
        now_ms = self.clock()
        self._ears.hear(sample.received_ms, now_ms, is_witness=is_witness)
        watched = self.machines.get(sample.machine)
        if watched is None:
            if shares.share_of(sample.machine) not in self.mine or is_witness:
                return
            watched = self._meet(sample.machine)
            if watched is None:
                return
        watched.hear(sample.received_ms, now_ms)
        if self._put_plan(watched, sample.layout):
            self._changes += watched.take(sample)
            self.judged += 1

    def _meet(self, machine: int) -> Watched | None:
        """A machine that nobody had heard of when the share was taken."""
        found = Machine.objects.filter(pk=machine).values_list("interval_s", flat=True)
        interval_s = found.first()
        if interval_s is None:
            return None
        watched = self.machines[machine] = Watched(machine, interval_s)
        return watched

    def _put_plan(self, watched: Watched, layout_id: int) -> bool:
        """Judge by this layout from now on; False: nobody knows what it says."""
        plan = watched.plan
        if plan is not None and plan.layout.id == layout_id:
            return True
        try:
            layout = layouts.get(layout_id)
        except UnknownLayout:
            return False
        watched.put_plan(self.book.plan(watched.pk, layout))
        return True

    # -- rules

    def _read_rules(self, now_ms: int) -> Happened:
        self._read_machines()
        self.book.tidy(watched.plan for watched in self.machines.values())
        book = rulebook.load()
        happened = ledger.end_orphans(ledger.moment(now_ms)) if 0 in self.mine else []
        if book.says_the_same(self.book):
            return happened
        self.book = book
        for watched in self.machines.values():
            self._cover(watched, now_ms)
        return happened

    def _cover(self, watched: Watched, now_ms: int) -> None:
        """Hold a machine to the rules as they are now."""
        kinds = {e.spec.rule: e.spec.kind for e in self.book.covering(watched.pk)}
        for key in list(watched.states):
            why = rulebook.why_over(key, kinds.get(key[0]))
            change = watched.end(key, now_ms, why) if why else None
            if change is not None:
                self._changes.append(change)
        if watched.plan is not None:
            watched.put_plan(self.book.plan(watched.pk, watched.plan.layout))

    def _read_machines(self) -> None:
        rows = Machine.objects.values_list("pk", "interval_s", "left_at")
        known = {pk: (interval_s, left_at) for pk, interval_s, left_at in rows}
        for pk in self.machines.keys() - known.keys():
            del self.machines[pk]
        for pk, watched in self.machines.items():
            watched.set_interval(known[pk][0])
            watched.set_left(known[pk][1])

    # -- shares

    def _claim(self, now_ms: int) -> None:
        claimed = shares.claim(self.name, self.mine)
        if claimed.nobody_since is not None:
            start_ms = round(claimed.nobody_since.timestamp() * 1000)
            if now_ms - start_ms > PAUSE_MS:
                why = "nothing evaluated: the hub or its alert process was away"
                self._blind.append(Stretch(start_ms, now_ms, why))
        lost, new = self.mine - claimed.mine, claimed.mine - self.mine
        self._drop(lost)
        self.mine = claimed.mine
        if new:
            log.info("alerts.shares_taken", engine=self.name, shares=sorted(new))
            self._load(new, now_ms)

    def _drop(self, numbers: Collection[int]) -> None:
        gone = [pk for pk in self.machines if shares.share_of(pk) in numbers]
        for pk in gone:
            del self.machines[pk]
        self._changes = [
            one for one in self._changes if shares.share_of(one.machine) not in numbers
        ]
        self.mine -= frozenset(numbers)

    def _forget(self) -> None:
        self._drop(self.mine)

    def _load(self, numbers: Collection[int], now_ms: int) -> None:
        """Take shares up where their last owner left them."""
        # Whoever was silent while nobody looked gets the time to come back.
        self._ears.hears_since_ms = now_ms
        stored: dict[int, Position] = {}
        for share in Share.objects.filter(number__in=numbers):
            stored |= {int(pk): Position(*at) for pk, at in share.positions.items()}
        rows = Machine.objects.values_list("pk", "interval_s", "left_at")
        found: dict[int, Watched] = {}
        for pk, interval_s, left_at in rows:
            if shares.share_of(pk) in numbers and pk != self.book.canary:
                found[pk] = Watched(pk, interval_s, stored.get(pk))
                found[pk].set_left(left_at)
        for pk, key, state, alert in ledger.read_states(found):
            found[pk].restore([(key, state)])
            if alert is not None and alert.is_open:
                found[pk].alerts[key] = alert.pk
                found[pk].restore_peak(key, alert)
        self.machines |= found
        for watched in found.values():
            self._cover(watched, now_ms)
        self._catch_up(found, now_ms)

    def _catch_up(self, machines: dict[int, Watched], now_ms: int) -> None:
        """Fill the windows, and judge what came since the position."""
        for pk, samples in recent.of(machines, now_ms).items():
            watched = machines[pk]
            judged_ms = watched.position.received_ms
            for sample in samples:
                watched.hear(sample.received_ms, now_ms)
                if not self._put_plan(watched, sample.layout):
                    continue
                if sample.received_ms <= judged_ms:
                    watched.warm(sample)
                else:
                    self._changes += watched.take(sample)

    # -- silence

    def _look_at_the_silent(self, now_ms: int) -> None:
        beat = Heartbeat.objects.values_list("at", flat=True).first()
        ended = [
            self._ears.beat(round(beat.timestamp() * 1000)) if beat else None,
            self._ears.tick(now_ms),
        ]
        self._blind += [stretch for stretch in ended if stretch is not None]
        if self._blind and 0 in self.mine:
            _note_blindness(self._blind)
        self._blind = []
        if self._ears.is_blind(now_ms):
            return
        down = self.book.of_kind(Kind.DOWN)
        silent = [
            entry
            for entry in self.book.entries.values()
            if entry.spec.is_streamed and entry.spec.no_data is not NoData.IGNORE
        ]
        for watched in self.machines.values():
            silence = self._silence(watched, now_ms)
            for entry in down:
                if entry.covers(watched.pk):
                    self._judge_silence(watched, entry, silence, now_ms)
            if silence and silent:
                self._changes += watched.hear_nothing(silent, now_ms)

    def _silence(self, watched: Watched, now_ms: int) -> float:
        left_ms, seen_ms = watched.left_ms, watched.seen_ms
        if left_ms is not None and (seen_ms is None or left_ms >= seen_ms - BREATH_MS):
            # The agent said that it is stopping: nobody is missing.
            return 0.0
        return intervals(
            seen_ms=seen_ms,
            hears_since_ms=self._ears.hears_since_ms,
            now_ms=now_ms,
            interval_s=watched.interval_s,
        )

    def _judge_silence(
        self, watched: Watched, entry: Entry, silence: float, now_ms: int
    ) -> None:
        key: Key = entry.spec.rule, ""
        if not silence and key not in watched.states:
            return
        change = watched.judge(
            Subject(entry.spec, None),
            key,
            judge(entry.spec, silence),
            now_ms,
            gap_ms=PAUSE_MS,
        )
        if change is not None:
            self._changes.append(change)

    # -- writing

    def _touched(self) -> frozenset[int]:
        return frozenset(shares.share_of(change.machine) for change in self._changes)

    def _write(self, numbers: Iterable[int]) -> Happened:
        changes, self._changes = self._changes, []
        by_share: dict[int, list[Change]] = {number: [] for number in numbers}
        for change in changes:
            by_share.setdefault(shares.share_of(change.machine), []).append(change)
        happened: Happened = []
        part: list[int] = []
        for number in by_share:
            part.append(number)
            if sum(len(by_share[n]) for n in part) >= MAX_CHANGES:
                happened += self._write_part(part, by_share)
                part = []
        return happened + (self._write_part(part, by_share) if part else [])

    def _write_part(
        self, numbers: list[int], by_share: dict[int, list[Change]]
    ) -> Happened:
        positions: dict[int, dict[int, Position]] = {number: {} for number in numbers}
        for pk, watched in self.machines.items():
            at = positions.get(shares.share_of(pk))
            if at is not None and watched.position.received_ms:
                at[pk] = watched.position
        noted = [self._noted(one) for n in numbers for one in by_share[n]]
        written = ledger.write(self.name, positions, noted)
        if written.lost:
            log.warning("alerts.share_lost", shares=sorted(written.lost))
            self._drop(written.lost)
        for (pk, key), alert in written.alerts.items():
            if pk in self.machines:
                self.machines[pk].set_alert(key, alert)
        return written.happened

    def _noted(self, change: Change) -> Noted:
        watched = self.machines.get(change.machine)
        peak = watched.peaks.get(change.key) if watched else None
        entry = self.book.entries.get(change.key[0])
        samples = []
        if change.happening is Happening.OPENED and change.subject:
            samples = recent.around(change.machine, change.subject, change.at_ms)
        return Noted(change, entry, peak, samples)

    def _write_peaks(self) -> None:
        found: dict[int, Peak] = {}
        for watched in self.machines.values():
            for key, alert in watched.alerts.items():
                peak = watched.peaks.get(key)
                if peak is not None and not peak.is_written:
                    found[alert] = peak
                    peak.is_written = True
        if found:
            ledger.write_peaks(found)

    def open_alerts(self) -> int:
        """Return how many alerts of this process's machines are firing."""
        return sum(
            state.phase is Phase.FIRING
            # Asked from other threads: while it is looked at, it may change.
            for watched in list(self.machines.values())
            for state in list(watched.states.values())
        )


def _note_blindness(stretches: Iterable[Stretch]) -> None:
    """Note when the hub was blind; stretches that touch become one."""
    for one in stretches:
        start, end = ledger.moment(one.start_ms), ledger.moment(one.end_ms)
        last = Blindness.objects.filter(end__gte=start, start__lte=end).first()
        if last is None:
            Blindness.objects.create(start=start, end=end, why=one.why)
        else:
            last.start, last.end = min(last.start, start), max(last.end, end)
            last.save()
        log.warning("hub.was_blind", start=start, end=end, why=one.why)
