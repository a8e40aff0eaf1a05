"""Snapshots of processes: checked, kept for a while, told of.

A bad one is refused alone: it says nothing of the stream's samples. Moments are put
on the hub's clock here, where the difference to the agent's is known.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque

import orjson
from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

from hub.events.event import PROCESSES_SEEN, Event
from hub.ingest import text
from hub.ingest.announce import DEADLINE_S, Announcer
from hub.ingest.breaker import breaker
from hub.ingest.stream import Stream
from hub.ingest.workers import Workers
from hub.log import get_logger
from hub.storage.hot import Hot, HotDown
from hub.storage.hot_terms import PROCESSES_MS
from hub.storage.processes import Entry, Snapshot

log = get_logger(__name__)

# Snapshots that wait to be kept; beyond this the oldest is dropped, counted. A
# fleet whose machines all rise at once fits.
QUEUE_LIMIT = 2_000

MAX_AHEAD_MS = limits.MAX_AHEAD_S * 1000
MAX_SPAN_MS = 24 * 3600 * 1000
# What a machine may have of each, and fits every column and JSON reader.
MAX_CORES = 100_000.0
MAX_BYTES = 2**53


class BadSnapshot(ValueError):
    """A snapshot that breaks the contract (permanent)."""


def snapshot(
    message: pb.ProcessSnapshot, machine: int, *, skew_ms: int, now_ms: int
) -> Snapshot | None:
    """Check a snapshot; None: the agent has none. Raises BadSnapshot."""
    if not message.taken_unix_ms:
        return None
    taken_ms = message.taken_unix_ms - skew_ms
    if not now_ms - PROCESSES_MS <= taken_ms <= now_ms + MAX_AHEAD_MS:
        raise BadSnapshot("It was not taken within the last quarter of an hour.")
    if len(message.entries) > limits.MAX_PROCESSES:
        raise BadSnapshot(f"It has more than {limits.MAX_PROCESSES} processes.")
    if message.span_ms > MAX_SPAN_MS:
        raise BadSnapshot("It spans more than a day.")
    entries = tuple(_entry(entry, skew_ms, now_ms) for entry in message.entries)
    if len({entry.pid for entry in entries}) < len(entries):
        raise BadSnapshot("It has a process twice.")
    return Snapshot(machine, taken_ms, message.span_ms, entries)


class Sightings:
    """Keeps snapshots in hot state and tells of them. Never holds a stream up."""

    def __init__(self, hot: Hot, announcer: Announcer) -> None:
        self._hot, self._announcer = hot, announcer
        self._waiting: deque[tuple[Snapshot, int]] = deque()
        self._wake = asyncio.Event()
        self._breaker = breaker()
        self._workers = Workers("processes")
        # Snapshots dropped: refused, too many, or not kept in time.
        self.dropped = 0

    def offer(self, stream: Stream, message: pb.ProcessSnapshot, now_ms: int) -> None:
        """Take what a stream sent; never waits, never fails."""
        if not stream.snapshots.allow():
            self.dropped += 1
            return
        skew_ms = stream.clock_skew_ms
        try:
            seen = snapshot(message, stream.machine, skew_ms=skew_ms, now_ms=now_ms)
        except BadSnapshot as bad:
            self.dropped += 1
            log.warning("processes.refused", machine=stream.machine, error=str(bad))
            return
        if seen is None:
            return
        if len(self._waiting) >= QUEUE_LIMIT:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((seen, message.request))
        self._wake.set()

    async def run(self) -> None:
        """Keep them as they come, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._keep(*self._waiting.popleft())

    async def close(self) -> None:
        await self._workers.close()

    async def _keep(self, seen: Snapshot, request: int) -> None:
        if self._breaker.open:
            self.dropped += 1
            return
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._workers.call(self._hot.put_processes, seen)
        except (HotDown, TimeoutError):
            # Whoever tells of samples logs that it is away.
            self._breaker.failed()
            self.dropped += 1
            return
        self._breaker.succeeded()
        told = {"pk": seen.machine, "taken_ms": seen.taken_ms, "request": request}
        await self._announcer.publish(Event(PROCESSES_SEEN, orjson.dumps(told)))


def _entry(entry: pb.ProcessEntry, skew_ms: int, now_ms: int) -> Entry:
    if not entry.pid:
        raise BadSnapshot("A process has no pid.")
    started_ms = entry.started_unix_ms - skew_ms
    known = entry.started_unix_ms > 0 and started_ms <= now_ms + MAX_AHEAD_MS
    return Entry(
        pid=entry.pid,
        name=text.plain(entry.name),
        user=text.plain(entry.user),
        command=text.plain(entry.command, limit_bytes=limits.MAX_COMMAND_BYTES),
        started_ms=started_ms if known else None,
        cpu=_number(entry.cpu, "cpu", MAX_CORES),
        memory_bytes=int(_number(entry.memory_bytes, "memory_bytes", MAX_BYTES)),
        memory=_number(entry.memory, "memory", 1.0),
        read=_rate(entry, "read_bytes_per_s"),
        write=_rate(entry, "write_bytes_per_s"),
    )


def _rate(entry: pb.ProcessEntry, name: str) -> float | None:
    if not entry.HasField(name):  # type: ignore[arg-type]
        return None
    return _number(getattr(entry, name), name, MAX_BYTES)


def _number(value: float, what: str, limit: float) -> float:
    # Not a number compares with nothing.
    if not (math.isfinite(value) and 0 <= value <= limit):
        raise BadSnapshot(f"Its {what} of a process is not within 0 and {limit:.0f}.")
    return value
