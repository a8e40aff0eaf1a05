"""The thread that looks at the processes, and what it answers to the hub."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.files import Files
from sysmonstm_agent.log import log
from sysmonstm_agent.meminfo import meminfo
from sysmonstm_agent.metric import Reading
from sysmonstm_agent.processes.pace import Pace, vitals
from sysmonstm_agent.processes.ring import Ring
from sysmonstm_agent.processes.snapshots import Arguments, Snapshots, Source

STOP_S = 0.5
# After a look that failed, counted as its cost: a minute's worth.
FAILURE_S = 0.05


class Watch:
    """Looks from `start` until `stop`. All else is safe in any thread.

    A thread of its own, a daemon: a command line is read from a process's memory,
    and where that is stuck nothing else must wait for it.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        *,
        told: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._snapshots, self._told, self._clock = snapshots, told, clock
        self._ring = Ring()
        self._pace = Pace(clock())
        self._changed = threading.Condition()
        self._unasked: pb.ProcessSnapshot | None = None
        self._is_stopped = self._is_failing = self._is_off = False
        self._entries = limits.MAX_PROCESSES
        # What command lines are to be like from the next look on; None: as they are.
        self._arguments: Arguments | None = None
        self._thread = threading.Thread(target=self._run, name="processes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        self._thread.join(STOP_S)

    def change(self, *, off: bool, arguments: Arguments, entries: int) -> None:
        """Go on like this. What was seen before is forgotten."""
        with self._changed:
            self._is_off, self._entries = off, entries
            self._arguments, self._unasked = arguments, None
            self._ring.clear()
            self._changed.notify()

    def feel(self, readings: Iterable[Reading]) -> None:
        """Take in a tick: it may be a reason to look at once."""
        now = vitals(readings)
        with self._changed:
            if self._pace.feel(now, self._clock()):
                self._changed.notify()

    def answer(self, asked: pb.ProcessesAsked) -> pb.ProcessSnapshot:
        snapshot = self._ring.nearest(asked.around_unix_ms)
        snapshot.request = asked.request
        limit = min(asked.limit or self._entries, self._entries)
        del snapshot.entries[limit:]
        return snapshot

    def unasked(self) -> pb.ProcessSnapshot | None:
        """Return a snapshot that the hub has not asked for, once."""
        with self._changed:
            snapshot, self._unasked = self._unasked, None
        return snapshot

    def _run(self) -> None:
        while self._wait():
            self._look()

    def _wait(self) -> bool:
        """Return when a look is due; False: it is over."""
        with self._changed:
            while not self._is_stopped:
                wait_s = None if self._is_off else self._pace.wait_s(self._clock())
                if wait_s is not None and wait_s <= 0:
                    self._settle()
                    return True
                self._changed.wait(wait_s)
        return False

    def _settle(self) -> None:
        if self._arguments is not None:
            self._snapshots.show(self._arguments)
            self._arguments = None

    def _look(self) -> None:
        began_s, snapshot = time.thread_time(), None
        least_s = 0.0
        try:
            snapshot = self._snapshots.take()
            self._is_failing = False
        # Whatever a foreign machine's files hold, the rest of the agent goes on.
        except Exception:  # noqa: BLE001
            least_s = FAILURE_S
            if not self._is_failing:
                log.exception("processes.failed")
            self._is_failing = True
        cost_s = max(time.thread_time() - began_s, least_s)
        now_s = self._clock()
        with self._changed:
            is_unasked = self._pace.looked(now_s, cost_s)
            if self._is_off or self._arguments is not None:
                # It was taken as things were before.
                snapshot = None
            if snapshot is not None:
                del snapshot.entries[self._entries :]
                self._ring.add(snapshot, now_s)
                self._unasked = snapshot if is_unasked else self._unasked
        if is_unasked and snapshot is not None:
            self._told()


def watch(files: Files, arguments: Arguments, told: Callable[[], object]) -> Watch:
    """Make one for this machine."""
    snapshots = Snapshots(
        source(files),
        arguments=arguments,
        memory_bytes=memory_bytes(files),
        clock=time.monotonic,
        wall=time.time,
    )
    return Watch(snapshots, told=told)


def source(files: Files) -> Source:
    # Each is imported only where it is used: psutil weighs 1.5 MB.
    if files.linux:
        from sysmonstm_agent.processes.table import Table

        return Table(files)
    from sysmonstm_agent.processes.portable import PortableTable

    return PortableTable()


def memory_bytes(files: Files) -> int:
    """Return how much memory there is; 0 = unknown."""
    if not files.linux:
        import psutil

        return int(psutil.virtual_memory().total)
    try:
        return int(meminfo(files).get("MemTotal", 0))
    except NoData:
        return 0
