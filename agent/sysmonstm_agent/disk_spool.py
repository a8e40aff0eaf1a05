"""A spool that outlives its process, and the machine's power.

Every tick is one commit, on disk before anybody can send it. The newest samples
stay in memory too (`_tail`), so that a hub that keeps up costs no reading.

Where the disk does not take a tick, that sample waits in the tail alone, is sent
from there, and is written with the first tick that the disk takes again. Until
then the agent could be killed and give the same numbers once more to other
samples: `handed_out` is how the hub's cursor tells, see Stream.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from sysmonstm_agent import spool_rescue
from sysmonstm_agent.layout import Sample
from sysmonstm_agent.log import log
from sysmonstm_agent.memory_spool import CAPACITY_BYTES
from sysmonstm_agent.memory_spool import size_bytes as memory_bytes
from sysmonstm_agent.spool import Spooled, SpoolRefused
from sysmonstm_agent.spool_database import DiskTrouble, Origin, State, faults
from sysmonstm_agent.spool_file import Bounds, Found, SpoolFile, Tick
from sysmonstm_agent.spool_folder import SpoolFolder
from sysmonstm_agent.spool_record import Damaged
from sysmonstm_agent.spool_tail import Tail

# Samples that are on disk stay in memory too, up to this: a hub that is away for a
# moment is a matter of memory. More would cost each agent more for ever.
TAIL_BYTES = 64 * 1024
# Between two tries to open a spool that could not be opened.
RETRY_S = 10.0
DEGRADED = "Samples wait in memory only, since the disk does not take them: {}."


class DiskSpool:
    def __init__(
        self,
        folder: SpoolFolder,
        bounds: Bounds,
        *,
        memory_capacity_bytes: int = CAPACITY_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open or make the spool. Raises SpoolRefused if it must not be used."""
        self._folder = folder
        self._bounds = bounds
        self._memory_capacity_bytes = memory_capacity_bytes
        self._clock = clock
        # Held through a commit, by who changes the file; `_lock` only for moments.
        self._disk = threading.Lock()
        # Held while somebody reads the file, or puts another in its place.
        self._reading = threading.Lock()
        self._lock = threading.Lock()

        self.epoch = spool_rescue.new_epoch()
        self.lost = self.last = self.handed_out = 0
        self.degraded = ""
        self._file: SpoolFile | None = None
        self._frozen = False
        self._broken = False
        # Why there is no file to write to, and when to try again.
        self._trouble = ""
        self._retry_s = 0.0
        self._base_s = 0.0
        self._state = State()
        # Up to `last`; all of those that are not on disk are here.
        self._tail = Tail()
        self._forgotten = 0
        # Found damaged, not yet written down. Of what found them: see `_read`.
        self._graves: set[int] = set()
        self._commits = 0
        # Dropped from a tail that was full, not yet written down.
        self._dropped = 0
        # How many samples were evicted for room, and were here when that began.
        self._made_room = 0
        self._held_when_full = 0
        self._begin()

    # -- what it holds

    @property
    def oldest(self) -> int:
        with self._lock:
            return self._oldest()

    @property
    def produced(self) -> int:
        return self.last

    @property
    def evicted(self) -> int:
        with self._lock:
            return self._state.evicted + len(self._graves) + self._dropped

    @property
    def size_bytes(self) -> int:
        with self._lock:
            waiting = self._tail.after(self._state.last)
            return self._state.size_bytes + sum(memory_bytes(s.sample) for s in waiting)

    def newest(self) -> Spooled | None:
        with self._lock:
            return self._tail.newest

    # -- the thread that measures

    def append(self, sample: Sample) -> int:
        with self._disk:
            spooled = Spooled(self.last + 1, sample)
            trouble = self._keep(spooled)
            with self._lock:
                self._tail.add(spooled)
                self.last = spooled.sequence
                self._shorten_tail()
                self._notice_full()
            self._judge(trouble)
            return spooled.sequence

    def _keep(self, *new: Spooled) -> str:
        """Commit what is new and what waited. Returns the disk's trouble."""
        try:
            for again in (True, False):
                try:
                    self._commit(*new)
                    return ""
                except Damaged as damage:
                    log.warning("spool.damaged", reason=str(damage))
                    self._broken = True
                    if not again:
                        return str(damage)
        except DiskTrouble as trouble:
            return str(trouble)
        return ""

    def _commit(self, *new: Spooled) -> None:
        file = self._usable()
        with self._lock:
            waiting = self._tail.after(self._state.last)
            # Numbers that were given, and are neither on disk nor in the tail.
            start = max(self._state.last, self._forgotten) + 1
            end = self._first_in_tail()
            graves, dropped = sorted(self._graves), self._dropped
            tick = Tick(
                samples=[*waiting, *new],
                graves=[*graves, *range(start, end)],
                evicted=len(graves) + dropped,
                forgotten=self._forgotten,
                clock_s=self._now_s(file),
            )
        file.commit(tick, self._bounds)
        with self._lock:
            self._state = file.state
            self._graves.difference_update(graves)
            self._dropped -= dropped
            self._commits += 1
        file.give_back()

    # -- the event loop

    def read(self, after: int, limit: int) -> list[Spooled]:
        with self._lock:
            start = max(after, self._forgotten) + 1
            first_in_tail = self._first_in_tail()
            on_disk = min(self._state.last, first_in_tail - 1)
        if start <= on_disk:
            found = self._read(start, on_disk, limit)
            if found is None:
                # What cannot be read must not be passed over: the hub's cursor
                # would go past it. The next tick mends the spool.
                return []
            if found:
                return self._hand_out(found)
        with self._lock:
            return self._hand_out(self._tail.slice(start, limit))

    def forget(self, up_to: int) -> None:
        with self._lock:
            self._forgotten = max(self._forgotten, min(up_to, self.last))
            while self._tail and self._tail.first <= self._forgotten:
                self._tail.drop()
            if self._held_when_full and self._held() <= self._held_when_full // 2:
                self._held_when_full = 0
                log.info("spool.drained", evicted=self._state.evicted)

    def renew(self) -> None:
        with self._disk:
            epoch = spool_rescue.new_epoch()
            if self._file:
                self._commit()
                self._file.renew(epoch, forgotten=self._forgotten)
            with self._lock:
                offset = max(self._forgotten, self._state.first - 1)
                if self._file:
                    self._state = self._file.state
                else:
                    offset = max(offset, self._first_in_tail() - 1)
                self._tail.renumber(offset)
                self.epoch, self.last = epoch, self.last - offset
                self._forgotten = self.handed_out = self._dropped = 0
                self._graves.clear()

    def close(self) -> None:
        with self._disk:
            self._keep()
            with self._reading:
                self._shut()
            self._folder.release()

    def _read(self, start: int, end: int, limit: int) -> list[Spooled] | None:
        """Return what is on disk of these; None: the disk does not say."""
        while start <= end:
            commits = self._commits
            with self._reading:
                found = self._find(start, end, limit)
            if found is None:
                return None
            if not self._bury(found, commits):
                continue
            if found.samples:
                return found.samples
            start = found.end + 1
        return []

    def _find(self, start: int, end: int, limit: int) -> Found | None:
        try:
            return self._file.read(start, end, limit) if self._file else None
        except DiskTrouble as trouble:
            log.warning("spool.unreadable", reason=str(trouble))
        except Damaged as damage:
            log.warning("spool.damaged", reason=str(damage))
            self._broken = True
        return None

    def _bury(self, found: Found, commits: int) -> bool:
        """Note what is missing, unless the file has changed since it was read."""
        with self._lock:
            if found.missing and commits != self._commits:
                return False
            new = set(found.missing) - self._graves
            self._graves |= new
        if new:
            log.warning("spool.samples_damaged", count=len(new), first=min(new))
        return True

    def _hand_out(self, samples: list[Spooled]) -> list[Spooled]:
        self.handed_out = max([self.handed_out, *(s.sequence for s in samples[-1:])])
        return samples

    # -- the file

    def _begin(self) -> None:
        try:
            self._open()
        except DiskTrouble as trouble:
            self._judge(str(trouble))
        self.handed_out = self.last
        self._made_room = self._state.evicted - self._state.damaged

    def _usable(self) -> SpoolFile:
        """Return the file to write to, opened or mended if need be."""
        if self._file is None or self._frozen:
            if self._clock() < self._retry_s:
                raise DiskTrouble(self._trouble)
            try:
                self._open()
            except SpoolRefused as refused:
                # At the start this would have ended the agent.
                raise DiskTrouble(str(refused)) from None
        elif self._broken:
            self._mend(self._file)
        elif not self._folder.intact(self._file.inode):
            log.warning("spool.vanished", folder=str(self._folder.path))
            self._folder.release()
            self._mend(self._file)
        assert self._file
        return self._file

    def _open(self) -> None:
        self._retry_s = self._clock() + RETRY_S
        with self._reading:
            self._shut()
            try:
                with faults():
                    self._folder.prepare()
                file = spool_rescue.open_file(self._folder, self.epoch)
                if self.last and file.origin.epoch != self.epoch:
                    file = self._supersede(file)
            except DiskTrouble as trouble:
                self._trouble = str(trouble)
                self._freeze()
                raise
            self._adopt(file)

    def _mend(self, damaged: SpoolFile) -> None:
        with self._reading:
            try:
                with faults():
                    self._folder.prepare()
                spool_rescue.rescue(self._folder, self.epoch, opened=damaged)
                self._adopt(SpoolFile(self._folder.database))
            except DiskTrouble as trouble:
                self._trouble = str(trouble)
                self._shut()
                raise

    def _supersede(self, old: SpoolFile) -> SpoolFile:
        """Begin anew beside a spool that could not even be read until now.

        Meanwhile numbers of another epoch went to the hub, which may have any
        sample of this one: none can be sent without risking that it comes twice.
        """
        old.close()
        lost = old.origin.lost + old.state.last - old.state.first + 1
        log.warning("spool.superseded", lost=lost)
        spool_rescue.replace(self._folder, Origin(self.epoch, lost), State())
        return SpoolFile(self._folder.database)

    def _freeze(self) -> None:
        """Go on with what can be read, where nothing can be written."""
        if not self._folder.locked:
            return
        with contextlib.suppress(DiskTrouble, Damaged):
            file = SpoolFile(self._folder.database, frozen=True)
            if self.last and file.origin.epoch != self.epoch:
                file.close()
                return
            self._adopt(file)
            self._frozen = True

    def _shut(self) -> None:
        if self._file:
            self._file.close()
        self._file, self._frozen = None, False

    def _adopt(self, file: SpoolFile) -> None:
        with self._lock:
            self.epoch, self.lost = file.origin
            # What was on disk, and in this file is not.
            first = max(file.state.last, self._forgotten) + 1
            end = min(self._state.last + 1, self._first_in_tail())
            self._dropped += max(0, end - first)
            self._state = file.state
            self.last = max(self.last, file.state.last)
            self._commits += 1
        self._file, self._broken = file, False
        self._base_s = file.state.clock_s - self._clock()

    def _now_s(self, file: SpoolFile) -> int:
        """Return the spool's own time: it passes only while an agent runs.

        By a clock that people set, a whole spool could be too old at once.
        """
        return max(file.state.clock_s, int(self._base_s + self._clock()))

    def _judge(self, trouble: str) -> None:
        if trouble and not self.degraded:
            log.warning("spool.degraded", reason=trouble)
        elif self.degraded and not trouble:
            log.info("spool.recovered")
        self.degraded = DEGRADED.format(trouble) if trouble else ""

    # -- with the lock

    def _oldest(self) -> int:
        oldest = max(self._forgotten + 1, self._state.first)
        if oldest > self._state.last:
            oldest = max(oldest, self._first_in_tail())
        return oldest if oldest <= self.last else 0

    def _held(self) -> int:
        oldest = self._oldest()
        return self.last - oldest + 1 if oldest else 0

    def _first_in_tail(self) -> int:
        return self._tail.first if self._tail else self.last + 1

    def _shorten_tail(self) -> None:
        while len(self._tail) > 1:
            oldest = self._tail.first
            on_disk = oldest <= self._state.last
            evicted = on_disk and oldest < self._state.first
            capacity = self._memory_capacity_bytes
            if on_disk:
                capacity = min(capacity, TAIL_BYTES)
            if not evicted and self._tail.size_bytes <= capacity:
                break
            self._tail.drop()
            self._dropped += not on_disk

    def _notice_full(self) -> None:
        to_make_room = self._state.evicted - self._state.damaged + self._dropped
        if to_make_room > self._made_room and not self._held_when_full:
            self._held_when_full = self._held()
            log.warning("spool.full", samples=self._held_when_full)
        self._made_room = to_make_room
