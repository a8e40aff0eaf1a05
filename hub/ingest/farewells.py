"""Goodbye: an agent is being stopped on purpose, and its silence will be meant.

Noted even when the database is away at that moment, as far as patience goes: who
switches a whole site off should not be called for each machine of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import islice

from django.utils import timezone
from sysmonstm_proto import metrics_pb2 as pb

from hub.events.errands import Errands
from hub.events.patience import waits
from hub.ingest import text
from hub.ingest.announce import Announcer
from hub.ingest.greeter import changed
from hub.ingest.isolate import HUB_FAULTS
from hub.ingest.lookups import Lookups
from hub.ingest.stream import Stream
from hub.log import get_logger
from hub.machines import registry

log = get_logger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
# About four minutes.
TRIES = 15
MAX_REASON_BYTES = 64

Sleep = Callable[[float], Awaitable[None]]


class Farewells:
    """One for each stream, at most."""

    def __init__(
        self, announcer: Announcer, lookups: Lookups, *, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._announcer, self._lookups, self._sleep = announcer, lookups, sleep
        self._errands = Errands()

    def hear(self, stream: Stream, said: pb.Goodbye) -> None:
        """Note that the stream's machine leaves; saying it again says nothing."""
        if stream.leaves:
            return
        stream.leaves = True
        reason = text.plain(said.reason, limit_bytes=MAX_REASON_BYTES)
        log.info("agent.leaves", machine=stream.machine, reason=reason)
        self._errands.start(self._note(stream.machine, timezone.now()))

    def close(self) -> None:
        self._errands.cancel()

    async def _note(self, machine: int, at: datetime) -> None:
        for pause_s in islice(
            waits(first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S), TRIES
        ):
            try:
                left = await self._lookups.call(registry.leave, machine, at)
            except HUB_FAULTS as fault:
                log.debug("farewell.waits", machine=machine, error=repr(fault))
            else:
                if left is not None:
                    await self._announcer.publish(changed(left))
                return
            await self._sleep(pause_s)
        log.warning("farewell.lost", machine=machine)
