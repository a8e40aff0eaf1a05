"""Machines that come, go, or get another name while somebody watches."""

from __future__ import annotations

import json

import pytest
from channels.db import database_sync_to_async
from django.test import Client

from hub.events.bus import get_bus
from hub.events.event import MACHINES_CHANGED, Event
from hub.live.feed import Feed
from hub.live.feeds import set_feed
from hub.live.tests.line import line, publish, sample
from hub.machines.models import Machine
from hub.storage.layouts import LayoutInfo

pytestmark = pytest.mark.django_db


async def test_a_new_machine_appears_by_itself(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    async with line(client) as browser:
        await browser.frame()

        machine = await database_sync_to_async(Machine.objects.create)(
            machine_id="db-1"
        )
        changed = json.dumps({"pk": machine.pk, "machine_id": "db-1"}).encode()
        await get_bus().publish(Event(MACHINES_CHANGED, changed))
        await publish(sample(machine, layout, now_ms, 0.75, 61.0))

        told = await browser.news()

    assert told["db-1"]["summary"]["cpu"] == 0.75


async def test_a_sample_alone_makes_a_new_machine_appear(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    async with line(client) as browser:
        await browser.frame()

        machine = await database_sync_to_async(Machine.objects.create)(
            machine_id="db-1"
        )
        await publish(sample(machine, layout, now_ms, 0.75, 61.0))

        assert (await browser.news())["db-1"]["time"] == now_ms


async def test_a_machine_that_is_deleted_is_gone(
    client: Client, web_1: Machine, new_1: Machine
) -> None:
    set_feed(Feed(check_s=0.1))
    async with line(client) as browser:
        await browser.frame()

        await database_sync_to_async(new_1.delete)()
        told = await browser.frame()

    assert (told["gone"], told["machines"]) == (["new-1"], [])


async def test_a_machine_s_new_name_is_told(client: Client, web_1: Machine) -> None:
    set_feed(Feed(check_s=0.1))
    async with line(client) as browser:
        await browser.frame()

        web_1.name = "Web the first"
        await database_sync_to_async(web_1.save)()

        assert (await browser.news())["web-1"]["title"] == "Web the first"
