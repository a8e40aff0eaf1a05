"""What only Redis can get wrong."""

from __future__ import annotations

import asyncio

import pytest
from django.conf import settings
from redis.asyncio import Redis

from hub.events.event import Event
from hub.events.redis_streams import STREAM_ENTRIES, RedisStreamsBus, key
from hub.events.tests.conftest import CLAIM_IDLE_S
from hub.testing.patience import PATIENCE_S

pytestmark = pytest.mark.production_only


def a_bus(**options: object) -> RedisStreamsBus:
    return RedisStreamsBus(settings.REDIS_URL, claim_idle_s=0.1, **options)  # type: ignore[arg-type]


async def test_a_stream_is_kept_short(topic: str) -> None:
    bus = a_bus()
    large = bytes(2 * 2**20)
    for _ in range(STREAM_ENTRIES.start + 120):
        await bus.publish(Event(topic, large))

    async with Redis.from_url(settings.REDIS_URL) as redis:
        assert await redis.xlen(key(topic)) < STREAM_ENTRIES.start + 110
        await redis.delete(key(topic))
    await bus.close()


async def test_a_dead_member_s_pages_of_events_are_all_taken_over(topic: str) -> None:
    bus = a_bus()
    async with bus.subscribe(topic, group="engine"):
        pass
    numbers = [b"%d" % number for number in range(40)]
    for number in numbers:
        await bus.publish(Event(topic, number))
    # A member that took everything and died: none of it is acknowledged.
    async with Redis.from_url(settings.REDIS_URL) as redis:
        await redis.xreadgroup("engine", "dead", {key(topic): ">"}, count=100)
    await asyncio.sleep(CLAIM_IDLE_S)

    async with bus.subscribe(topic, group="engine") as events:
        async with asyncio.timeout(PATIENCE_S):
            assert [(await anext(events)).payload for _ in numbers] == numbers
    await bus.close()


async def test_what_was_trimmed_before_it_was_done_is_counted(topic: str) -> None:
    bus = a_bus()
    async with bus.subscribe(topic, group="engine") as events:
        await bus.publish(Event(topic, b"1"))
        await anext(events)
    async with Redis.from_url(settings.REDIS_URL) as redis:
        await redis.xtrim(key(topic), maxlen=0, approximate=False)
    await asyncio.sleep(CLAIM_IDLE_S)
    await bus.publish(Event(topic, b"2"))

    async with bus.subscribe(topic, group="engine") as events:
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(events)).payload == b"2"
        assert events.lost == 1
    await bus.close()


async def test_a_member_can_be_cancelled_at_any_moment(topic: str) -> None:
    bus = a_bus()
    async with bus.subscribe(topic, group="engine") as events:
        for steps in range(30):
            asking = asyncio.ensure_future(anext(events))
            for _ in range(steps):
                await asyncio.sleep(0)
            asking.cancel()

            done, _ = await asyncio.wait([asking], timeout=PATIENCE_S)

            assert done == {asking}
    await bus.close()


async def test_a_watcher_can_leave_at_any_moment(topic: str) -> None:
    bus = a_bus()
    for steps in range(30):
        async with asyncio.timeout(PATIENCE_S), bus.subscribe(topic):
            for _ in range(steps):
                await asyncio.sleep(0)
    await bus.close()
