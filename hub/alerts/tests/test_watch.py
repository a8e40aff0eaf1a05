from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest
from asgiref.sync import sync_to_async

from hub.alerts.models import Alert, Rule, Share
from hub.alerts.tests.scenes import CPU, series, vector
from hub.alerts.watch import Watch
from hub.events.bus import Bus
from hub.events.event import ALERTS_OPENED, ALERTS_RESOLVED, METRICS_RAW, Event
from hub.events.memory import MemoryBus
from hub.machines.models import Machine
from hub.storage import layouts
from hub.storage.hot import get_hot, set_hot
from hub.storage.hot_memory import MemoryHot
from hub.storage.sample import StoredSample, pack
from hub.testing.patience import until

pytestmark = pytest.mark.django_db(transaction=True)


@asynccontextmanager
async def watching(bus: Bus) -> AsyncIterator[Watch]:
    watch = Watch(bus)
    task = asyncio.create_task(watch.run())
    try:
        await until(lambda: watch.engine.mine and watch.hears)
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def prepare() -> tuple[Machine, int]:
    set_hot(MemoryHot())
    layouts.forget_all()
    Rule.objects.all().delete()
    Rule.objects.create(name="CPU is busy", metric=CPU, warning=0.8, clear_for_s=0)
    machine = Machine.objects.create(machine_id="web-1", interval_s=5)
    return machine, layouts.learn([series(CPU)]).id


async def send(
    bus: Bus, machine: Machine, layout: int, value: float, *, number: int
) -> None:
    now_ms = time.time_ns() // 1_000_000
    sample = StoredSample(machine.pk, layout, number, now_ms, now_ms, vector(value))
    await asyncio.to_thread(get_hot().put, [sample])
    await bus.publish(Event(METRICS_RAW, pack([sample])))


async def test_an_event_becomes_an_alert_and_is_told() -> None:
    bus = MemoryBus()
    machine, layout = await sync_to_async(prepare)()
    async with watching(bus), bus.subscribe(ALERTS_OPENED, ALERTS_RESOLVED) as told:
        await send(bus, machine, layout, 0.9, number=1)
        opened = orjson.loads((await anext(told)).payload)
        await send(bus, machine, layout, 0.1, number=2)
        resolved = await anext(told)

    alert = await Alert.objects.aget()
    assert opened == {
        "alert": alert.pk,
        "machine": "web-1",
        "severity": "warning",
        "rule": "CPU is busy",
        "state": "firing",
    }
    assert resolved.topic == ALERTS_RESOLVED
    assert alert.state == "resolved"


async def test_what_is_no_batch_of_samples_harms_nobody() -> None:
    bus = MemoryBus()
    machine, layout = await sync_to_async(prepare)()
    async with watching(bus), bus.subscribe(ALERTS_OPENED) as told:
        await bus.publish(Event(METRICS_RAW, b"\x07nonsense"))
        await send(bus, machine, layout, 0.9, number=1)
        await anext(told)


async def test_an_ordinary_end_gives_the_shares_up_at_once() -> None:
    bus = MemoryBus()
    await sync_to_async(prepare)()
    async with watching(bus) as watch:
        assert len(watch.engine.mine) == await Share.objects.exclude(owner="").acount()

    assert not await Share.objects.exclude(owner="").aexists()
