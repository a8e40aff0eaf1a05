"""Work shared by the members of a group, between processes."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from hub import log
from hub.events.event import MAX_DELIVERIES, Event, dead
from hub.events.patience import waits
from hub.events.redis_reader import BLOCK_MS, pages, text

# Enough to see what is wrong with them.
DEAD_KEPT = 1000

logger = log.get_logger(__name__)


class Member:
    """Gets events one by one; asking for the next says that the last is done.

    What a dead member had is claimed after `claim_idle_s`, even by itself
    after its restart: two processes may bear one name without harm.
    """

    def __init__(
        self,
        client: Redis,
        topics: Mapping[str, str],
        *,
        group: str,
        name: str,
        claim_idle_s: float,
    ) -> None:
        self.lost = 0
        self.down = False
        self._client = client
        self._topics = topics
        self._group, self._name = group, name
        self._claim_idle_s = claim_idle_s
        self._next_sweep = 0.0
        # The streams that this sweep has still to look through, and from where.
        self._sweep: deque[tuple[str, str]] = deque()
        self._fresh: deque[tuple[str, Event]] = deque()
        self._doing: tuple[str, str] | None = None

    async def start(self) -> None:
        for stream in self._topics:
            await self._create(stream, since="$")

    def __aiter__(self) -> Member:
        return self

    async def __anext__(self) -> Event:
        pauses = waits()
        cancelled = _cancellation()
        while not cancelled():
            try:
                found = await self._next()
            except (RedisError, OSError) as away:
                if not self.down:
                    logger.warning(
                        "events.bus_down", group=self._group, error=str(away)
                    )
                self.down = True
                await asyncio.sleep(next(pauses))
                continue
            if self.down:
                logger.info("events.bus_back", group=self._group)
                self.down = False
            if found is not None and cancelled():
                self._fresh.appendleft(found)
            elif found is not None:
                stream, event = found
                self._doing = (stream, event.id)
                return event
        raise asyncio.CancelledError

    async def _next(self) -> tuple[str, Event] | None:
        if self._doing is not None:
            stream, id_ = self._doing
            await self._client.xack(stream, self._group, id_)
            self._doing = None
        try:
            return await self._claim() or await self._read()
        except ResponseError as refused:
            if not str(refused).startswith("NOGROUP"):
                raise
            # Redis came back empty. What was told since then is in the
            # stream, so the group begins at its beginning.
            for stream in self._topics:
                await self._create(stream, since="0")
            return None

    async def _create(self, stream: str, *, since: str) -> None:
        try:
            await self._client.xgroup_create(
                stream, self._group, id=since, mkstream=True
            )
        except ResponseError as refused:
            if not str(refused).startswith("BUSYGROUP"):
                raise

    async def _read(self) -> tuple[str, Event] | None:
        if not self._fresh:
            # One at a time: what waits here untouched would count as tried.
            answer = await self._client.xreadgroup(
                self._group,
                self._name,
                dict.fromkeys(self._topics, ">"),
                count=1,
                block=min(BLOCK_MS, max(1, round(self._claim_idle_s * 1000))),
            )
            for stream, entries in pages(answer):
                for id_, fields in entries:
                    event = Event(self._topics[stream], fields[b"payload"], id_)
                    self._fresh.append((stream, event))
        return self._fresh.popleft() if self._fresh else None

    async def _claim(self) -> tuple[str, Event] | None:
        """Take over one event of a member that seems dead, if there is any."""
        if not self._sweep and time.monotonic() >= self._next_sweep:
            self._sweep.extend((stream, "0-0") for stream in self._topics)
            self._next_sweep = time.monotonic() + self._claim_idle_s / 2
        while self._sweep:
            stream, cursor = self._sweep.popleft()
            # An empty page with a cursor is no end: Redis looks at some
            # entries at a time, whether or not they are idle for long.
            following, entries, deleted = await self._client.xautoclaim(
                stream,
                self._group,
                self._name,
                min_idle_time=round(self._claim_idle_s * 1000),
                start_id=cursor,
                count=1,
            )
            self._count_trimmed(stream, len(deleted))
            if text(following) != "0-0":
                self._sweep.appendleft((stream, text(following)))
            for id_, fields in entries:
                event = Event(self._topics[stream], fields[b"payload"], text(id_))
                if not await self._buried(stream, event):
                    return stream, event
        return None

    def _count_trimmed(self, stream: str, number: int) -> None:
        if number:
            self.lost += number
            logger.warning("events.trimmed_unread", stream=stream, number=number)

    async def _buried(self, stream: str, event: Event) -> bool:
        """Put an event that killed its members where it kills nobody else."""
        pending = await self._client.xpending_range(
            stream, self._group, min=event.id, max=event.id, count=1
        )
        if not pending or int(pending[0]["times_delivered"]) <= MAX_DELIVERIES:
            return False
        async with self._client.pipeline(transaction=True) as both:
            both.xadd(
                f"events:{dead(event.topic)}",
                {b"payload": event.payload},
                maxlen=DEAD_KEPT,
            )
            both.xack(stream, self._group, event.id)
            await both.execute()
        logger.error("events.buried", topic=event.topic, group=self._group, id=event.id)
        return True


def _cancellation() -> Callable[[], bool]:
    """Tell whether the running task has been cancelled since now.

    Python 3.11's wait_for, inside the client, swallows a cancellation that comes
    just when a command has been sent (gh-86296); the loop would never end.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    return lambda: task is not None and task.cancelling() > before
