"""Samples between two ticks: for whoever is watching, and for nobody else.

They go past the writer, hot state and the rules: what is stored and judged keeps
its own step.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping

from sysmonstm_proto import metrics_pb2 as pb

from hub.events.event import METRICS_INSTANT, Event
from hub.ingest import decode
from hub.ingest.announce import Announcer
from hub.ingest.decode import Known
from hub.ingest.stream import Stream
from hub.storage.sample import StoredSample, pack

# Of all machines together; beyond this the oldest is not shown.
MAX_WAITING = 1_000


class Instants:
    """Passes them on, many in one event when they come faster than it goes."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer
        self._waiting: deque[StoredSample] = deque(maxlen=MAX_WAITING)
        self._telling: asyncio.Task[None] | None = None

    def offer(
        self, stream: Stream, sample: pb.Sample, known: Mapping[int, Known], now_ms: int
    ) -> None:
        """Take one in; what is wrong with it, or too much, is left out."""
        if sample.sequence or not stream.instants.allow():
            return
        # Below every number that is given, so that 0 may pass.
        decoded = decode.samples([sample], stream.source, known, last=-1, now_ms=now_ms)
        if not decoded.taken:
            return
        self._waiting += [one.sample for one in decode.finite(decoded.taken)]
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell(), name="instants")

    def close(self) -> None:
        if self._telling is not None:
            self._telling.cancel()

    async def _tell(self) -> None:
        while self._waiting:
            batch = list(self._waiting)
            self._waiting.clear()
            await self._announcer.publish(Event(METRICS_INSTANT, pack(batch)))
