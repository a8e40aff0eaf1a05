"""Hot state in this process's memory: for the hub that is one process."""

from __future__ import annotations

import threading
import time
from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence

from hub.storage import processes
from hub.storage.hot_terms import (
    LAYOUT_MS,
    PROCESSES_LIMIT,
    PROCESSES_MS,
    RECENT_LIMIT,
    RECENT_MS,
)
from hub.storage.processes import Snapshot
from hub.storage.sample import StoredSample
from hub.storage.trail import Minutes, Trail, draw, minutes_until

# How often the silent are looked for, in the hub's time.
SWEEP_MS = 60_000


class MemoryHot:
    """Holds at most RECENT_LIMIT samples of each machine heard in five minutes."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # Per machine, ascending by time; the last is the latest.
        self._recent: dict[int, list[StoredSample]] = {}
        self._swept_ms = 0
        self._minutes = Minutes()
        self._trails: dict[int, bytearray] = {}
        # Per machine, (taken, packed), ascending.
        self._processes: dict[int, list[tuple[int, bytes]]] = {}
        # Provisional layouts: until when, what they say.
        self._layouts: dict[int, tuple[float, bytes]] = {}

    def put(self, samples: Sequence[StoredSample]) -> None:
        oldest_ms = self._oldest_ms()
        fresh = [sample for sample in samples if sample.time_ms >= oldest_ms]
        marks = self._minutes.add(fresh)
        with self._lock:
            for sample in fresh:
                self._insert(sample, oldest_ms)
            for (minute, machine), mark in marks.items():
                self._mark(minute, 2 * machine, mark)
            if oldest_ms - self._swept_ms >= SWEEP_MS:
                self._sweep(oldest_ms)

    def latest(self, pks: Iterable[int] | None = None) -> dict[int, StoredSample]:
        oldest_ms = self._oldest_ms()
        with self._lock:
            wanted = self._recent if pks is None else pks
            found = ((pk, self._recent.get(pk)) for pk in wanted)
            return {
                pk: recent[-1]
                for pk, recent in found
                if recent and recent[-1].time_ms >= oldest_ms
            }

    def recent(self, pk: int) -> list[StoredSample]:
        oldest_ms = self._oldest_ms()
        with self._lock:
            return [s for s in self._recent.get(pk, ()) if s.time_ms >= oldest_ms]

    def trails(self, pks: Sequence[int]) -> Mapping[int, Trail]:
        with self._lock:
            strings = [
                bytes(self._trails.get(minute, b""))
                for minute in minutes_until(self._clock())
            ]
        return draw(pks, strings)

    def put_processes(self, snapshot: Snapshot) -> None:
        packed = processes.pack(snapshot)
        with self._lock:
            kept = self._processes.setdefault(snapshot.machine, [])
            insort(kept, (snapshot.taken_ms, packed))
            del kept[:-PROCESSES_LIMIT]

    def processes(self, pk: int) -> list[Snapshot]:
        oldest_ms = self._oldest_ms(PROCESSES_MS)
        with self._lock:
            kept = list(self._processes.get(pk, ()))
        return [processes.unpack(item) for at_ms, item in kept if at_ms >= oldest_ms]

    def put_layout(self, number: int, description: bytes) -> bytes:
        now_s = self._clock()
        with self._lock:
            for old in [n for n, (until, _) in self._layouts.items() if until < now_s]:
                del self._layouts[old]
            _, kept = self._layouts.get(number, (0, description))
            self._layouts[number] = now_s + LAYOUT_MS / 1000, kept
        return kept

    def layout(self, number: int) -> bytes | None:
        with self._lock:
            until_s, kept = self._layouts.get(number, (0.0, b""))
        return kept if until_s >= self._clock() else None

    def ready(self) -> None:
        """Memory always answers."""

    def _insert(self, sample: StoredSample, oldest_ms: int) -> None:
        recent = self._recent.setdefault(sample.machine, [])
        if recent and sample.time_ms < recent[-1].time_ms:
            insort(recent, sample, key=lambda s: s.time_ms)
        else:
            recent.append(sample)
        # One goes for each that comes: lists are short, moving them is cheap.
        while len(recent) > RECENT_LIMIT or recent[0].time_ms < oldest_ms:
            del recent[0]

    def _mark(self, minute: int, at: int, mark: bytes) -> None:
        trail = self._trails.setdefault(minute, bytearray())
        if len(trail) < at + len(mark):
            # Doubled, so that a growing fleet is not copied for each machine.
            trail.extend(bytes(max(at + len(mark), 2 * len(trail)) - len(trail)))
        trail[at : at + len(mark)] = mark

    def _sweep(self, oldest_ms: int) -> None:
        self._swept_ms = oldest_ms
        silent = [
            pk for pk, recent in self._recent.items() if recent[-1].time_ms < oldest_ms
        ]
        for pk in silent:
            del self._recent[pk]
        long_ago_ms = self._oldest_ms(PROCESSES_MS)
        for pk in [
            pk for pk, kept in self._processes.items() if kept[-1][0] < long_ago_ms
        ]:
            del self._processes[pk]
        first = minutes_until(self._clock()).start
        for minute in [minute for minute in self._trails if minute < first]:
            del self._trails[minute]

    def _oldest_ms(self, age_ms: int = RECENT_MS) -> int:
        return int(self._clock() * 1000) - age_ms
