"""Hot state and the event "here are samples": after COMMIT, or when it is slow.

Off the way of an acknowledgement: whatever Redis does, the writer goes on. What
cannot be told in time is dropped, oldest first, and counted; pages then answer
from the database. While the database is away samples are shown as they come, and
not told again when they are stored at last.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from hub.events.bus import Bus
from hub.events.event import METRICS_RAW, BusDown, Event
from hub.events.patience import Breaker
from hub.ingest.breaker import breaker
from hub.ingest.decode import finite
from hub.ingest.told import Told
from hub.ingest.workers import Workers
from hub.log import get_logger
from hub.storage.hot import Hot, HotDown
from hub.storage.raw import Incoming
from hub.storage.sample import StoredSample, pack

log = get_logger(__name__)

# Samples that wait to be told; beyond this the oldest batch is dropped.
QUEUE_LIMIT = 20_000

# Hot state and bus promise an error within 1 s and 2 s; this is for a promise
# that is not kept.
DEADLINE_S = 3.0


class Announcer:
    """Tells hot state and bus about committed batches, in order."""

    def __init__(self, hot: Hot, bus: Bus, *, queue_limit: int = QUEUE_LIMIT) -> None:
        self._hot, self._bus = hot, bus
        self._queue_limit = queue_limit
        self._hot_breaker, self._bus_breaker = breaker(), breaker()
        self._batches: deque[Sequence[StoredSample]] = deque()
        self._waiting = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._told = Told()
        self._workers = Workers("announce")
        self.untold = 0

    def offer(self, batch: Sequence[StoredSample]) -> None:
        """Take a committed batch; never waits, never fails."""
        self._queue(self._told.news(batch) if self._told else batch)

    def show(self, batch: Sequence[Incoming]) -> None:
        """Take samples that are not committed yet, or never come in order."""
        add = self._told.add
        fresh = [
            incoming
            for incoming in batch
            if add(incoming.sample.machine, incoming.epoch, incoming.sample.sequence)
        ]
        self._queue([incoming.sample for incoming in finite(fresh)])

    def _queue(self, batch: Sequence[StoredSample]) -> None:
        if not batch:
            return
        self._batches.append(batch)
        self._waiting += len(batch)
        while self._waiting > self._queue_limit and len(self._batches) > 1:
            oldest = self._batches.popleft()
            self._waiting -= len(oldest)
            self.untold += len(oldest)
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Tell batches as they come, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._batches:
                batch = self._batches.popleft()
                await self._tell(batch)
                self._waiting -= len(batch)
            self._idle.set()

    async def drain(self) -> None:
        """Wait until everything offered was told or given up."""
        await self._idle.wait()

    async def close(self) -> None:
        await self._workers.close()

    async def publish(self, event: Event) -> bool:
        """Publish one event, guarded; False: it is lost."""
        if self._bus_breaker.open:
            return False
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._bus.publish(event)
        except (BusDown, TimeoutError) as down:
            _note(self._bus_breaker.failed, self._bus_breaker, "bus", down)
            return False
        _note(self._bus_breaker.succeeded, self._bus_breaker, "bus")
        return True

    async def _tell(self, batch: Sequence[StoredSample]) -> None:
        await self._put(batch)
        if self._bus_breaker.open:
            self.untold += len(batch)
            return
        payload = await self._workers.call(pack, batch)
        if not await self.publish(Event(METRICS_RAW, payload)):
            self.untold += len(batch)

    async def _put(self, batch: Sequence[StoredSample]) -> None:
        if self._hot_breaker.open:
            return
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._workers.call(self._hot.put, batch)
        except (HotDown, TimeoutError) as down:
            _note(self._hot_breaker.failed, self._hot_breaker, "hot", down)
        else:
            _note(self._hot_breaker.succeeded, self._hot_breaker, "hot")


def _note(
    change: Callable[[], None],
    breaker: Breaker,
    what: str,
    error: Exception | None = None,
) -> None:
    """Log when it goes and when it comes back, not each try between."""
    before = breaker.broken
    change()
    if breaker.broken and not before:
        log.warning(f"{what}.away", error=str(error))
    elif before and not breaker.broken:
        log.info(f"{what}.back")
