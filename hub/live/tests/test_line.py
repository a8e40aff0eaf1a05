"""What a browser sees."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from channels.db import database_sync_to_async
from django.test import Client
from pytest_django import Settings

from hub.events.bus import set_bus
from hub.events.event import METRICS_RAW, Event
from hub.events.inbox import Inbox
from hub.events.memory import MemoryBus
from hub.live.fanout import Fanout
from hub.live.feed import Feed
from hub.live.feeds import get_feed, set_feed
from hub.live.frames import CREDIT, MAX_MESSAGE_BYTES, Close
from hub.live.tests.line import ORIGIN, line, publish, sample, store
from hub.machines.models import Machine
from hub.storage.layouts import LayoutInfo
from hub.storage.sample import StoredSample, pack
from hub.testing.patience import until

pytestmark = pytest.mark.django_db


async def test_a_browser_gets_everything_first(
    client: Client, web_1: Machine, new_1: Machine, now_ms: int
) -> None:
    async with line(client) as browser:
        told = await browser.frame()

    assert (told["type"], told["n"]) == ("snapshot", 1)
    assert abs(told["at"] - now_ms) < 60_000
    machines = {machine["id"]: machine for machine in told["machines"]}
    assert machines["web-1"]["title"] == "Web one"
    assert machines["web-1"]["time"] == now_ms - 5000
    assert machines["web-1"]["seen"] == now_ms - 4960
    assert machines["web-1"]["interval"] == 5
    assert machines["web-1"]["summary"]["cpu"] == 0.25
    assert machines["web-1"]["summary"]["temperature"] is None
    assert machines["new-1"]["summary"] is None
    assert "layouts" not in told


async def test_then_it_gets_what_changes(
    client: Client, web_1: Machine, new_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    async with line(client) as browser:
        await browser.frame()

        await publish(sample(web_1, layout, now_ms, 0.5, 61.0))
        told = await browser.frame()

    assert (told["type"], told["n"]) == ("changes", 2)
    [machine] = told["machines"]
    assert (machine["id"], machine["time"]) == ("web-1", now_ms)
    assert machine["summary"]["cpu"] == 0.5


async def test_the_full_view_brings_the_vector_and_its_layout_once(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    async with line(client, view="full", machine="web-1") as browser:
        first = await browser.frame()
        await publish(sample(web_1, layout, now_ms, 0.5, 61.0))
        second = await browser.frame()

    assert [one["metric"] for one in first["layouts"][str(layout.id)]] == [
        "system.cpu.utilization",
        "hw.temperature",
    ]
    assert first["machines"][0]["values"] == [0.25, None]
    assert second["machines"][0]["layout"] == str(layout.id)
    assert second["machines"][0]["values"] == [0.5, 61.0]
    assert "layouts" not in second


async def test_only_the_machines_asked_for_are_told(
    client: Client, web_1: Machine, new_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    async with line(client, machine=["new-1"]) as browser:
        told = await browser.frame()
        assert [machine["id"] for machine in told["machines"]] == ["new-1"]

        await publish(sample(web_1, layout, now_ms, 0.5, 61.0))

        assert await browser.is_silent()


async def test_more_machines_than_fit_into_a_frame_come_in_several(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.live.feed.MAX_FRAME_BYTES", 500)
    await database_sync_to_async(Machine.objects.bulk_create)(
        [Machine(machine_id=f"web-{n}") for n in range(20)]
    )

    names: list[str] = []
    async with line(client) as browser:
        kinds = [(told := await browser.frame())["type"]]
        while told["machines"] and len(names) < 20:
            names += [machine["id"] for machine in told["machines"]]
            if len(names) < 20:
                kinds.append((told := await browser.frame())["type"])

    assert sorted(names) == sorted(f"web-{n}" for n in range(20))
    assert kinds[0] == "snapshot"
    assert set(kinds[1:]) == {"changes"}
    assert len(kinds) > 2


async def test_a_machine_that_is_not_there_is_not_found(
    client: Client, web_1: Machine
) -> None:
    async with line(client, machine=["web-1", "db-1"]) as browser:
        assert await browser.ended() is Close.NOT_FOUND


@pytest.mark.parametrize(
    ("view", "machine"), [("secret", []), ("full", [str(n) for n in range(200)])]
)
async def test_nonsense_is_refused(
    client: Client, view: str, machine: list[str]
) -> None:
    async with line(client, view=view, machine=machine) as browser:
        assert await browser.ended() is Close.BAD_MESSAGE


class BusyBus(MemoryBus):
    """A bus on which something happens just before one is heard."""

    def __init__(self, happens: Callable[[], StoredSample]) -> None:
        super().__init__()
        self._happens = happens

    @asynccontextmanager
    async def _listen(self, topics: tuple[str, ...]) -> AsyncIterator[Inbox]:
        stored = await database_sync_to_async(self._happens)()
        await self.publish(Event(METRICS_RAW, pack([stored])))
        async with super()._listen(topics) as inbox:
            yield inbox


async def test_what_happens_between_reading_and_listening_is_not_lost(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    set_bus(BusyBus(lambda: store(web_1, layout, now_ms, 0.75, 61.0)))

    async with line(client) as browser:
        assert (await browser.news())["web-1"]["time"] == now_ms


async def test_browsers_come_and_go_while_samples_are_told(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    # The feed begins anew with each browser, while samples are stored and told.
    for step in range(20):
        async with line(client) as browser:
            for _ in range(step):
                await asyncio.sleep(0)
            newest = await database_sync_to_async(store)(
                web_1, layout, now_ms + step, step / 100, 61.0
            )
            await publish(newest)

            seen = await browser.news()
            if seen["web-1"]["time"] != newest.time_ms:
                seen = await browser.news()
            assert seen["web-1"]["time"] == newest.time_ms


async def test_an_older_sample_changes_nothing(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    old = sample(web_1, layout, now_ms - 60_000, 0.9, 61.0)
    async with line(client) as browser:
        await browser.frame()

        await publish(old)

        assert await browser.is_silent()


async def test_a_browser_without_credit_hears_nothing_and_then_only_the_newest(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    async with line(client) as slow, line(client) as fast:
        await slow.frame(ack=False)
        await fast.frame()
        for step in range(1, 6):
            await publish(sample(web_1, layout, now_ms + step, step / 10, 61.0))
            assert (await fast.news())["web-1"]["time"] == now_ms + step
        for _ in range(CREDIT - 1):
            last = await slow.frame(ack=False)
        assert await slow.is_silent()

        await slow.ack(last["n"])
        told = await slow.frame(ack=False)

    [machine] = told["machines"]
    assert machine["time"] == now_ms + 5


async def test_many_dead_browsers_cost_the_others_nothing(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    async with line(client) as alive:
        await alive.frame()
        dead = [line(client) for _ in range(30)]
        for one in dead:
            await one.__aenter__()

        for step in range(1, 11):
            await publish(sample(web_1, layout, now_ms + step, step / 100, 61.0))
            assert (await alive.news())["web-1"]["time"] == now_ms + step

        for watcher in get_feed().fanout:
            assert len(watcher.changed) <= 1
        for one in dead:
            await one.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("not JSON", Close.BAD_MESSAGE),
        ('{"type":"subscribe","machine":"*"}', Close.BAD_MESSAGE),
        ("[" * 2000, Close.BAD_MESSAGE),
        ('"' + "a" * MAX_MESSAGE_BYTES + '"', Close.TOO_LARGE),
        ("é" * (MAX_MESSAGE_BYTES - 1), Close.TOO_LARGE),
    ],
)
async def test_a_browser_that_says_anything_else_is_closed(
    client: Client, web_1: Machine, said: str, why: Close
) -> None:
    async with line(client) as browser:
        await browser.frame()

        await browser.say(said)

        assert await browser.ended() is why


async def test_bytes_are_nothing_a_browser_says(client: Client, web_1: Machine) -> None:
    async with line(client) as browser:
        await browser.frame()

        await browser.say(data=b'{"type":"ack","n":1}')

        assert await browser.ended() is Close.BAD_MESSAGE


async def test_a_flood_of_acknowledgements_is_closed(
    client: Client, web_1: Machine
) -> None:
    async with line(client) as browser:
        await browser.frame()

        for _ in range(200):
            await browser.say(json.dumps({"type": "ack", "n": 1}))

        assert await browser.ended() is Close.BAD_MESSAGE


async def test_too_many_sockets_are_turned_away(client: Client, web_1: Machine) -> None:
    set_feed(Feed(fanout=Fanout(max_of_a_user=1)))
    async with line(client) as first:
        await first.frame()

        async with line(client) as second:
            assert await second.ended() is Close.TOO_MANY

    async with line(client) as third:
        await third.frame()


async def test_an_address_is_what_the_proxy_says_and_nobody_else(
    client: Client, web_1: Machine, settings: Settings
) -> None:
    def from_(*forwarded: str) -> tuple[tuple[str, str], ...]:
        return (ORIGIN, *(("X-Forwarded-For", one) for one in forwarded))

    set_feed(Feed(fanout=Fanout(max_of_an_address=1)))
    async with (
        line(client, headers=from_("192.0.2.7")) as unheeded,
        line(client, headers=from_("192.0.2.7")) as neither,
    ):
        # Nobody stands in front: whoever asks has written that.
        await unheeded.frame()
        await neither.frame()

    settings.BEHIND_TLS = True
    async with line(client, headers=from_("198.51.100.1, 192.0.2.7")) as first:
        await first.frame()
        written = from_("198.51.100.2", "192.0.2.7")
        async with line(client, headers=written) as second:
            assert await second.ended() is Close.TOO_MANY
        async with line(client, headers=from_("192.0.2.8")) as third:
            await third.frame()


async def test_a_quiet_line_has_heartbeats(client: Client, web_1: Machine) -> None:
    now_s = 1000.0
    set_feed(Feed(clock=lambda: now_s))
    async with line(client) as browser:
        await browser.frame()

        now_s += 9.5
        told = await browser.frame()

    assert (told["type"], told["n"], told["machines"]) == ("changes", 2, [])


async def test_a_browser_that_draws_nothing_for_a_minute_is_closed(
    client: Client, web_1: Machine
) -> None:
    now_s = 1000.0
    set_feed(Feed(clock=lambda: now_s))
    async with line(client) as browser:
        await browser.frame(ack=False)

        now_s += 61

        assert await browser.ended() is Close.NO_ACK


async def test_a_sample_that_is_stored_while_nobody_watches_is_in_the_next_snapshot(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    async with line(client) as browser:
        await browser.frame()
    assert not len(get_feed().fanout)

    await database_sync_to_async(store)(web_1, layout, now_ms, 0.75, 61.0)

    async with line(client) as browser:
        told = await browser.frame()
    assert told["machines"][0]["summary"]["cpu"] == 0.75


async def test_the_feed_stops_when_nobody_watches(
    client: Client, web_1: Machine
) -> None:
    before = asyncio.all_tasks()

    async with line(client) as browser:
        await browser.frame()
        assert len(asyncio.all_tasks()) > len(before)

    await until(lambda: asyncio.all_tasks() == before)
