"""The bus between processes: a Redis stream for each topic."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from hub.events.ending import end
from hub.events.event import BusDown, Event, Events
from hub.events.inbox import MAX_EVENTS, Inbox
from hub.events.patience import Breaker
from hub.events.redis_group import Member
from hub.events.redis_reader import Reader

# A publisher may be asked to wait this long, not longer.
DEADLINE_S = 2.0
# Answers to blocking reads take up to BLOCK_MS (redis_reader.py) and a little.
SOCKET_TIMEOUT_S = 2.0

# A stream is kept for groups that are away for minutes. Bounded by entries,
# as Redis can, so that it comes to about so many bytes.
STREAM_BYTES = 64 * 2**20
STREAM_ENTRIES = range(64, 10_000)

# Longer than any member works on one event: whoever takes longer is taken for
# dead, and another does it again.
CLAIM_IDLE_S = 60.0


class RedisStreamsBus:
    """One client for each event loop; nothing connects before it is used.

    `member` names this process in groups. It should be the same after a
    restart, so that dead names do not pile up.
    """

    def __init__(
        self,
        url: str,
        *,
        member: str = "",
        claim_idle_s: float = CLAIM_IDLE_S,
        max_events: int = MAX_EVENTS,
    ) -> None:
        self._url = url
        self._member = member or socket.gethostname()
        self._claim_idle_s = claim_idle_s
        self._max_events = max_events
        self._breaker = Breaker()
        self._usual_bytes = 0.0
        self._seats: set[str] = set()
        self._clients: dict[
            asyncio.AbstractEventLoop, tuple[Redis, AsyncGenerator[Redis]]
        ] = {}

    async def publish(self, event: Event) -> None:
        if self._breaker.open:
            raise BusDown("Redis did not answer a moment ago")
        try:
            async with asyncio.timeout(DEADLINE_S):
                client = await self._client()
                await client.xadd(
                    key(event.topic),
                    {b"payload": event.payload},
                    maxlen=self._length_for(event),
                    approximate=True,
                )
        except (RedisError, OSError) as refused:
            self._breaker.failed()
            raise BusDown(str(refused) or "Redis did not answer in time") from refused
        self._breaker.succeeded()

    def subscribe(
        self, *topics: str, group: str = ""
    ) -> AbstractAsyncContextManager[Events]:
        return self._join(topics, group) if group else self._listen(topics)

    async def ready(self) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                await (await self._client()).ping()
        except (RedisError, OSError) as refused:
            raise BusDown(str(refused) or "Redis did not answer in time") from refused
        self._breaker.succeeded()

    async def close(self) -> None:
        kept = self._clients.pop(asyncio.get_running_loop(), None)
        if kept is not None:
            await kept[1].aclose()

    @asynccontextmanager
    async def _listen(self, topics: tuple[str, ...]) -> AsyncIterator[Inbox]:
        inbox = Inbox(max_events=self._max_events)
        reader = Reader(await self._client(), {key(one): one for one in topics}, inbox)
        await _in_time(reader.start())
        task = asyncio.create_task(reader.run(), name="events.reader")
        try:
            yield inbox
        finally:
            await end([task])

    @asynccontextmanager
    async def _join(self, topics: tuple[str, ...], group: str) -> AsyncIterator[Member]:
        seat = self._take_seat(group)
        try:
            member = Member(
                await self._client(),
                {key(one): one for one in topics},
                group=group,
                name=seat,
                claim_idle_s=self._claim_idle_s,
            )
            await _in_time(member.start())
            yield member
        finally:
            self._seats.discard(f"{group}/{seat}")

    def _take_seat(self, group: str) -> str:
        number = 0
        while f"{group}/{self._member}-{number}" in self._seats:
            number += 1
        self._seats.add(f"{group}/{self._member}-{number}")
        return f"{self._member}-{number}"

    def _length_for(self, event: Event) -> int:
        """Return how many entries of the usual size come to STREAM_BYTES."""
        self._usual_bytes += (len(event.payload) - self._usual_bytes) * 0.05
        entries = int(STREAM_BYTES / max(1.0, self._usual_bytes))
        return min(max(entries, STREAM_ENTRIES.start), STREAM_ENTRIES.stop)

    async def _client(self) -> Redis:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            for ended in [one for one in self._clients if one.is_closed()]:
                del self._clients[ended]
            keeper = _keep(self._url)
            self._clients[loop] = (await anext(keeper), keeper)
        return self._clients[loop][0]


def key(topic: str) -> str:
    return f"events:{topic}"


async def _keep(url: str) -> AsyncGenerator[Redis]:
    """Hold a client until its loop ends: a loop closes its open generators."""
    client = Redis.from_url(
        url,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        socket_keepalive=True,
        # Callers decide about trying again; a repeated XADD would be a repeat.
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield client
    finally:
        await client.aclose()


async def _in_time(start: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(DEADLINE_S):
            await start
    except (RedisError, OSError) as refused:
        raise BusDown(str(refused) or "Redis did not answer in time") from refused
