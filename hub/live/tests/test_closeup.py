"""A machine's own page, and what comes between two ticks."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from channels.db import database_sync_to_async
from django.test import Client

from hub.events.bus import get_bus
from hub.events.event import (
    MACHINES_CHANGED,
    MACHINES_WATCHED,
    METRICS_INSTANT,
    Event,
)
from hub.live.tests.line import Line, line, publish, sample, store
from hub.machines.models import Machine
from hub.storage.hot import get_hot
from hub.storage.layouts import LayoutInfo
from hub.storage.sample import StoredSample, pack
from hub.testing.patience import PATIENCE_S

pytestmark = pytest.mark.django_db


async def publish_instant(*samples: StoredSample) -> None:
    await get_bus().publish(Event(METRICS_INSTANT, pack(samples)))


async def instants(browser: Line) -> list[dict[str, object]]:
    while True:
        told = await browser.frame()
        if "instants" in told:
            found = told["instants"]
            assert isinstance(found, list)
            return found


async def test_only_a_page_of_one_machine_is_told_to_be_watched(
    client: Client, web_1: Machine, new_1: Machine
) -> None:
    both = ("web-1", "new-1")
    async with (
        get_bus().subscribe(MACHINES_WATCHED) as events,
        line(client) as overview,
        line(client, view="full", machine=both) as two,
        line(client, view="full", machine="web-1") as page,
    ):
        for browser in (overview, two, page):
            await browser.frame()

        told = await asyncio.wait_for(anext(events), PATIENCE_S)

    # At once, not when five seconds are over.
    assert orjson.loads(told.payload) == {"pks": [web_1.pk]}


async def test_instant_samples_reach_those_who_look_at_the_machine(
    client: Client, web_1: Machine, new_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    # Of the same layout: what is not for its page could be read there.
    await database_sync_to_async(store)(new_1, layout, now_ms - 5000, 0.1, 20.0)
    async with (
        line(client, view="full", machine="web-1") as page,
        line(client, view="full", machine="new-1") as other,
        line(client) as overview,
    ):
        for browser in (page, other, overview):
            await browser.frame()

        await publish_instant(sample(web_1, layout, now_ms, 0.5, 61.0))

        assert await instants(page) == [
            {
                "id": "web-1",
                "layout": str(layout.id),
                "time": now_ms,
                "values": [0.5, 61.0],
            }
        ]
        assert await other.is_silent()
        assert await overview.is_silent()


async def test_an_instant_sample_changes_no_state(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    before = get_hot().latest([web_1.pk])
    async with line(client, view="full", machine="web-1") as page:
        await page.frame()
        await publish_instant(sample(web_1, layout, now_ms, 0.5, 61.0))
        await instants(page)

        await publish(sample(web_1, layout, now_ms + 1, 0.75, 62.0))
        told = await page.news()
    async with line(client, view="full", machine="web-1") as again:
        first = await again.frame()

    assert told["web-1"]["values"] == [0.75, 62.0]
    assert "instants" not in first
    assert get_hot().latest([web_1.pk]) == before


async def test_whoever_may_not_see_a_machine_is_told_nothing_of_it(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    async with line(client, view="full", machine="web-1") as page:
        await page.frame()
        await publish_instant(sample(web_1, layout, now_ms, 0.5, 61.0))
        assert await instants(page)

        another = sample(web_1, layout, now_ms + 1, 0.5, 61.0)
        await web_1.adelete()
        await get_bus().publish(Event(MACHINES_CHANGED, b"{}"))
        while not (await page.frame()).get("gone"):
            pass
        await publish_instant(another)

        assert await page.is_silent()


async def test_a_slow_browser_gets_the_newest_only(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    async with line(client, view="full", machine="web-1") as page:
        first = await page.frame(ack=False)
        await publish_instant(sample(web_1, layout, now_ms, 0.1, 0.0))
        second = await page.frame(ack=False)
        for n in range(1, 100):
            await publish_instant(sample(web_1, layout, now_ms + n, 0.5, 61.0))
        assert await page.is_silent()

        await page.ack(second["n"])
        [newest] = await instants(page)

    assert first["n"] == 1
    assert newest["time"] == now_ms + 99
