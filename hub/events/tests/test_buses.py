"""What every bus must do."""

from __future__ import annotations

import asyncio

from asgiref.sync import async_to_sync

from hub.events.bus import Bus
from hub.events.event import MAX_DELIVERIES, Event, Events, dead
from hub.events.tests.conftest import CLAIM_IDLE_S
from hub.testing.patience import PATIENCE_S, until


async def heard(events: Events, number: int) -> list[bytes]:
    async with asyncio.timeout(PATIENCE_S):
        return [(await anext(events)).payload for _ in range(number)]


async def silent(events: Events, *, for_s: float = 0.3) -> bool:
    try:
        async with asyncio.timeout(for_s):
            await anext(events)
    except TimeoutError:
        return True
    return False


async def tell(bus: Bus, topic: str, *payloads: bytes) -> None:
    for payload in payloads:
        await bus.publish(Event(topic, payload))


async def test_every_subscriber_hears_every_event_in_order(
    bus: Bus, topic: str
) -> None:
    async with bus.subscribe(topic) as one, bus.subscribe(topic) as two:
        await tell(bus, topic, b"1", b"2", b"3")

        assert await heard(one, 3) == [b"1", b"2", b"3"]
        assert await heard(two, 3) == [b"1", b"2", b"3"]
    await bus.close()


async def test_an_event_told_right_after_entering_is_heard(
    bus: Bus, topic: str
) -> None:
    await tell(bus, topic, b"before")

    async with bus.subscribe(topic) as events:
        await tell(bus, topic, b"after")

        assert await heard(events, 1) == [b"after"]
    await bus.close()


async def test_what_was_told_before_is_not_heard(bus: Bus, topic: str) -> None:
    await tell(bus, topic, b"before")

    async with bus.subscribe(topic) as events:
        assert await silent(events)
    await bus.close()


async def test_only_the_topics_asked_for_are_heard(bus: Bus, topic: str) -> None:
    async with bus.subscribe(topic, f"{topic}.too") as events:
        await tell(bus, f"{topic}.other", b"not this")
        await tell(bus, topic, b"this")
        first = await heard(events, 1)
        await tell(bus, f"{topic}.too", b"this too")

        assert first + await heard(events, 1) == [b"this", b"this too"]
    await bus.close()


async def test_ids_grow(bus: Bus, topic: str) -> None:
    async with bus.subscribe(topic) as events:
        await tell(bus, topic, b"1", b"2")
        one, two = await anext(events), await anext(events)

    assert one.topic == two.topic == topic
    assert order(one) < order(two)
    await bus.close()


def order(event: Event) -> list[int]:
    return [int(part) for part in event.id.split("-")]


async def test_a_slow_subscriber_loses_the_oldest_counted_and_nobody_waits(
    bus: Bus, topic: str
) -> None:
    async with bus.subscribe(topic) as slow, bus.subscribe(topic) as fast:
        for payload in (b"1", b"2", b"3", b"4", b"5"):
            await tell(bus, topic, payload)
            assert await heard(fast, 1) == [payload]
        await until(lambda: slow.lost == 2)

        assert await heard(slow, 3) == [b"3", b"4", b"5"]
        assert (slow.lost, fast.lost) == (2, 0)
    await bus.close()


async def test_each_event_reaches_one_member_of_a_group(bus: Bus, topic: str) -> None:
    done: list[bytes] = []

    async def work(events: Events) -> None:
        async for event in events:
            done.append(event.payload)
            await asyncio.sleep(0)

    async with (
        bus.subscribe(topic, group="engine") as one,
        bus.subscribe(topic, group="engine") as two,
        asyncio.TaskGroup() as workers,
    ):
        tasks = [workers.create_task(work(one)), workers.create_task(work(two))]
        for number in (1, 2, 3, 4):
            await tell(bus, topic, b"%d" % number)
            await until(lambda number=number: len(done) == number)  # type: ignore[misc]
        for task in tasks:
            task.cancel()

    assert sorted(done) == [b"1", b"2", b"3", b"4"]
    await bus.close()


async def test_two_groups_hear_the_same_events(bus: Bus, topic: str) -> None:
    async with (
        bus.subscribe(topic, group="engine") as engine,
        bus.subscribe(topic, group="uplink") as uplink,
    ):
        await tell(bus, topic, b"1")

        assert await heard(engine, 1) == await heard(uplink, 1) == [b"1"]
    await bus.close()


async def test_a_group_is_kept_its_events_while_nobody_is_there(
    bus: Bus, topic: str
) -> None:
    async with bus.subscribe(topic, group="engine"):
        pass
    await tell(bus, topic, b"1", b"2")

    async with bus.subscribe(topic, group="engine") as events:
        assert await heard(events, 2) == [b"1", b"2"]
    await bus.close()


async def test_what_a_dead_member_had_reaches_another(bus: Bus, topic: str) -> None:
    async with bus.subscribe(topic, group="engine") as survivor:
        async with bus.subscribe(topic, group="engine") as victim:
            taken = asyncio.create_task(heard(victim, 1))
            await asyncio.sleep(0.05)
            await tell(bus, topic, b"1")
            assert await taken == [b"1"]

        assert await heard(survivor, 1) == [b"1"]
    await bus.close()


async def test_asking_for_the_next_says_that_the_last_is_done(
    bus: Bus, topic: str
) -> None:
    async with bus.subscribe(topic, group="engine") as events:
        await tell(bus, topic, b"done", b"not done")
        assert await heard(events, 2) == [b"done", b"not done"]

    async with bus.subscribe(topic, group="engine") as events:
        assert await heard(events, 1) == [b"not done"]
        assert await silent(events)
    await bus.close()


async def test_what_is_done_is_not_told_again(bus: Bus, topic: str) -> None:
    async with bus.subscribe(topic, group="engine") as events:
        await tell(bus, topic, b"done")
        assert await heard(events, 1) == [b"done"]
        assert await silent(events)  # by asking for the next

    async with bus.subscribe(topic, group="engine") as events:
        assert await silent(events)
    await bus.close()


async def test_an_event_that_kills_its_members_is_put_aside(
    bus: Bus, topic: str
) -> None:
    async with bus.subscribe(dead(topic)) as graves:
        async with bus.subscribe(topic, group="engine"):
            await tell(bus, topic, b"poison", b"harmless")
        for _ in range(MAX_DELIVERIES):
            assert await first_of_a_new_member(bus, topic) == b"poison"

        async with bus.subscribe(topic, group="engine") as events:
            assert await heard(events, 1) == [b"harmless"]
            # Long enough for Redis to take the last one for dead.
            assert await silent(events, for_s=3 * CLAIM_IDLE_S)
        assert await heard(graves, 1) == [b"poison"]
    await bus.close()


async def first_of_a_new_member(bus: Bus, topic: str) -> bytes:
    await asyncio.sleep(CLAIM_IDLE_S + 0.1)  # until Redis may take it for dead
    async with bus.subscribe(topic, group="engine") as events:
        return (await heard(events, 1))[0]


def test_one_bus_serves_event_loops_one_after_another(bus: Bus, topic: str) -> None:
    @async_to_sync
    async def once(payload: bytes) -> list[bytes]:
        async with bus.subscribe(topic) as events:
            await tell(bus, topic, payload)
            return await heard(events, 1)

    assert once(b"1") == [b"1"]
    assert once(b"2") == [b"2"]


async def test_ready_returns_while_the_bus_is_there(bus: Bus) -> None:
    await bus.ready()
    await bus.close()


async def test_leaving_ends_everything_that_was_started(bus: Bus, topic: str) -> None:
    before = asyncio.all_tasks()

    async with bus.subscribe(topic), bus.subscribe(topic, group="engine"):
        pass

    assert asyncio.all_tasks() == before
    await bus.close()


def test_a_dead_topic_has_a_name_of_its_own() -> None:
    assert dead("metrics.raw") == "dead.metrics.raw"
