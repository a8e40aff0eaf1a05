"""Everything that is told on some streams, from now on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from hub import log
from hub.events.event import Event
from hub.events.inbox import Inbox
from hub.events.patience import waits

# Shorter than the client's socket timeout, or silence would look like a fault.
BLOCK_MS = 1000
PAGE = 256

logger = log.get_logger(__name__)


class Reader:
    """Moves events from Redis into an inbox, and picks up where it left off."""

    def __init__(self, client: Redis, topics: Mapping[str, str], inbox: Inbox) -> None:
        self._client = client
        self._topics = topics
        self._inbox = inbox
        self._last: dict[str, str] = {}

    async def start(self) -> None:
        """Note where now is: Redis would resolve "$" anew at each reading."""
        for stream in self._topics:
            newest: Any = await self._client.xrevrange(stream, count=1)
            self._last[stream] = text(newest[0][0]) if newest else "0-0"

    async def run(self) -> None:
        pauses = waits()
        while True:
            try:
                await self._page()
            except (RedisError, OSError) as away:
                if not self._inbox.down:
                    logger.warning("events.bus_down", error=str(away))
                self._inbox.down = True
                await asyncio.sleep(next(pauses))
            else:
                if self._inbox.down:
                    logger.info("events.bus_back")
                    self._inbox.down = False
                    pauses = waits()

    async def _page(self) -> None:
        # After a break the first page must not block, so that its end is seen.
        block = None if self._inbox.down else BLOCK_MS
        since: Any = self._last
        answer = await self._client.xread(since, count=PAGE, block=block)
        for stream, entries in pages(answer):
            for id_, fields in entries:
                self._last[stream] = id_
                self._inbox.put(Event(self._topics[stream], fields[b"payload"], id_))


def pages(
    answer: Any,
) -> list[tuple[str, list[tuple[str, dict[bytes, bytes]]]]]:
    """Bring the two shapes of XREAD's answer (RESP2, RESP3) to one."""
    if not answer:
        return []
    streams = answer.items() if isinstance(answer, dict) else answer
    found = []
    for stream, entries in streams:
        if isinstance(answer, dict):
            entries = [entry for page in entries for entry in page]
        found.append((text(stream), [(text(id_), body) for id_, body in entries]))
    return found


def text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
