"""What happens to alerts reaches the browsers that may see their machine."""

from __future__ import annotations

import orjson
import pytest
from django.test import Client

from hub.events.bus import get_bus
from hub.events.event import ALERTS_OPENED, ALERTS_RESOLVED, Event
from hub.live.fanout import MAX_NEWS, Watcher
from hub.live.frames import ALERTS, SUMMARY
from hub.live.tests.line import line, publish, sample
from hub.machines.models import Machine
from hub.storage.layouts import LayoutInfo

pytestmark = pytest.mark.django_db


async def tell(topic: str, alert: int, machine: str, **more: object) -> None:
    said = {"alert": alert, "machine": machine, **more}
    await get_bus().publish(Event(topic, orjson.dumps(said)))


async def test_news_come_with_the_next_frame(client: Client, web_1: Machine) -> None:
    async with line(client) as browser:
        await browser.frame()

        await tell(ALERTS_OPENED, 7, "web-1", severity="critical")
        told = await browser.frame()

    assert told["machines"] == []
    assert told["alerts"] == [{"alert": 7, "machine": "web-1", "severity": "critical"}]


async def test_a_page_without_machines_gets_news_alone(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    async with line(client, view="alerts") as browser:
        first = await browser.frame()
        await publish(sample(web_1, layout, now_ms, 0.5, 61.0))
        await tell(ALERTS_RESOLVED, 7, "web-1")
        told = await browser.frame()

    assert (first["type"], first["machines"]) == ("snapshot", [])
    assert told["machines"] == []
    assert [one["alert"] for one in told["alerts"]] == [7]


async def test_news_of_other_machines_stay_away(
    client: Client, web_1: Machine, new_1: Machine
) -> None:
    async with line(client, view="full", machine="new-1") as browser:
        await browser.frame()

        await tell(ALERTS_OPENED, 1, "web-1")
        await tell(ALERTS_OPENED, 2, "unknown")
        await get_bus().publish(Event(ALERTS_OPENED, b"nonsense"))
        await tell(ALERTS_OPENED, 3, "new-1")
        told = await browser.frame()

    assert [one["alert"] for one in told["alerts"]] == [3]


def test_a_slow_page_keeps_the_newest_news_of_each_alert() -> None:
    watcher = Watcher(1, SUMMARY, None)
    watcher.is_limited = False
    watcher.see(frozenset({5}), ())

    for number in range(1000):
        watcher.hear_news(number % (MAX_NEWS + 1), 5, b"%d" % number)

    assert len(watcher.news) == MAX_NEWS
    assert list(watcher.news.values())[-1] == b"999"
    assert watcher.may_send


@pytest.mark.parametrize("view", [SUMMARY, ALERTS])
def test_news_of_what_one_may_not_see_any_more_are_dropped(view: str) -> None:
    watcher = Watcher(1, view, None)
    watcher.see(frozenset({5, 6}), ())
    watcher.hear_news(1, 5, b"of five")
    watcher.hear_news(2, 6, b"of six")

    watcher.see(frozenset({6}), ("five",))

    assert list(watcher.news.values()) == [b"of six"]


def test_news_of_deleted_machines_are_not_for_the_limited() -> None:
    limited, free = Watcher(1, ALERTS, None), Watcher(2, ALERTS, None)
    free.is_limited = False

    for watcher in (limited, free):
        watcher.hear_news(1, None, b"of a machine that is no more")

    assert (len(limited.news), len(free.news)) == (0, 1)


def test_a_page_of_news_is_not_woken_by_samples() -> None:
    watcher = Watcher(1, ALERTS, None)
    watcher.is_limited = False
    watcher.see(frozenset({5}), ("gone",))
    watcher.wake.clear()

    watcher.hear({5})

    assert not watcher.wake.is_set()
    assert not watcher.may_send


async def test_of_a_machine_that_is_gone_only_that_there_is_news(
    client: Client, web_1: Machine
) -> None:
    async with line(client) as browser:
        await browser.frame()

        await tell(ALERTS_RESOLVED, 7, "", rule="Secret project", severity="critical")
        told = await browser.frame()

    assert told["alerts"] == [{"alert": 7, "machine": ""}]
