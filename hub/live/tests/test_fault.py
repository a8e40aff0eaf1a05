"""A fault of the hub, met by one browser."""

from __future__ import annotations

import pytest
from django.test import Client

from hub.live.fanout import Watcher
from hub.live.feed import Feed
from hub.live.feeds import set_feed
from hub.live.frames import Close
from hub.live.tests.line import line, publish, sample
from hub.machines.models import Machine
from hub.storage.layouts import LayoutInfo

pytestmark = pytest.mark.django_db


class Faulty(Feed):
    """It has a fault that shows with one kind of page only."""

    def changes(self, watcher: Watcher) -> str:
        if watcher.view == "full":
            raise RuntimeError("a fault of the hub")
        return super().changes(watcher)


async def test_a_fault_ends_the_line_that_met_it_and_no_other(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    set_feed(Faulty())
    async with (
        line(client) as browser,
        line(client, view="full", machine="web-1") as unlucky,
    ):
        await browser.frame()
        await unlucky.frame()

        await publish(sample(web_1, layout, now_ms, 0.5, 61.0))

        assert await unlucky.ended() is Close.TRY_LATER
        assert (await browser.news())["web-1"]["time"] == now_ms
        await publish(sample(web_1, layout, now_ms + 1000, 0.5, 61.0))
        assert (await browser.news())["web-1"]["time"] == now_ms + 1000
