"""The bus goes away and comes back: sockets stay, and say so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from channels.db import database_sync_to_async
from django.test import Client

from hub.events.bus import set_bus
from hub.events.event import BusDown, Event, Events
from hub.events.memory import MemoryBus
from hub.live.tests.line import line, publish, sample, store
from hub.machines.models import Machine
from hub.storage.layouts import LayoutInfo

pytestmark = pytest.mark.django_db


class Watched:
    """Events of a bus that can be cut."""

    def __init__(self, events: Events, bus: Brittle) -> None:
        self._events, self._bus = events, bus

    lost = 0

    @property
    def down(self) -> bool:
        return self._bus.away

    def __aiter__(self) -> Watched:
        return self

    async def __anext__(self) -> Event:
        return await anext(self._events)


class Brittle(MemoryBus):
    """A bus that can be away, as a broker can."""

    away = False

    async def publish(self, event: Event) -> None:
        if self.away:
            raise BusDown("away")
        await super().publish(event)

    def subscribe(
        self, *topics: str, group: str = ""
    ) -> AbstractAsyncContextManager[Events]:
        return self._watch(topics, group)

    @asynccontextmanager
    async def _watch(
        self, topics: tuple[str, ...], group: str
    ) -> AsyncIterator[Watched]:
        if self.away:
            raise BusDown("away")
        async with super().subscribe(*topics, group=group) as events:
            yield Watched(events, self)


@pytest.fixture
def bus() -> Brittle:
    bus = Brittle()
    set_bus(bus)
    return bus


async def test_a_line_says_that_updates_pause_and_catches_up_by_itself(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int, bus: Brittle
) -> None:
    async with line(client) as browser:
        assert "bus" not in await browser.frame()

        bus.away = True
        assert (await browser.frame())["bus"] == "down"

        # Stored and never told: only reading it again can bring it.
        await database_sync_to_async(store)(web_1, layout, now_ms, 0.75, 61.0)
        bus.away = False
        told = await browser.frame()
        while not told["machines"]:
            told = await browser.frame()

    assert "bus" not in told
    assert told["machines"][0]["summary"]["cpu"] == 0.75


async def test_without_a_bus_a_browser_still_gets_what_is(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int, bus: Brittle
) -> None:
    bus.away = True
    async with line(client) as browser:
        told = await browser.frame()
        assert told["machines"][0]["summary"]["cpu"] == 0.25
        assert told["bus"] == "down"

        bus.away = False
        while "bus" in told:
            told = await browser.frame()
        await publish(sample(web_1, layout, now_ms, 0.5, 61.0))

        assert (await browser.news())["web-1"]["summary"]["cpu"] == 0.5
