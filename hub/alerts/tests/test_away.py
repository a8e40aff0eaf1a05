"""What the evaluation leans on goes away: nothing is lost, nothing is told twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError

from hub.alerts import ledger, rulebook, watch
from hub.alerts.models import Alert, Chapter, Happening
from hub.alerts.tests.scenes import vector
from hub.alerts.tests.test_watch import prepare
from hub.alerts.tests.world import World, open_alerts
from hub.alerts.watch import Watch
from hub.events.event import BusDown, Event, Events
from hub.events.memory import MemoryBus
from hub.storage import raw
from hub.storage.database import DatabaseDown
from hub.storage.hot import get_hot
from hub.storage.sample import StoredSample
from hub.testing.patience import until_found

# -- the database


def broken(world: World, *samples: StoredSample) -> None:
    with pytest.raises(DatabaseDown):
        world.turn(*samples)


def after(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let the answer be lost: it was committed, and nobody knows."""

    def called(*args: Any, **named: Any) -> Any:
        function(*args, **named)
        raise OperationalError("the connection is gone")

    return called


def before(function: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **named: Any) -> Any:
        raise OperationalError("no connection")

    return called


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("when", [before, after])
@pytest.mark.parametrize("value", [0.9, 0.1])
def test_a_database_that_goes_away_while_it_is_written_to_loses_and_doubles_nothing(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    when: Callable[..., Any],
    value: float,
) -> None:
    machine = world.machine()
    world.rule()
    # 0.9 is about an opening, 0.1 about an end.
    first = 0.1 if value == 0.9 else 0.9
    for cpu in (first, first):
        world.now_ms += 5000
        sample = world.sample(machine, cpu)
        raw.write([raw.Incoming(sample, b"e" * 16)])
        world.turn(sample)

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "write", when(ledger.write))
        world.now_ms += 5000
        lost = world.sample(machine, value)
        raw.write([raw.Incoming(lost, b"e" * 16)])
        broken(world, lost)
        for _ in range(3):
            world.now_ms += 5000
            # In between it has no shares, and nothing to write.
            with suppress(DatabaseDown):
                world.turn(world.sample(machine, value))
    for _ in range(4):
        world.tick(machine, cpu=value)

    [alert] = Alert.objects.all()
    whats = ["opened"] if value == 0.9 else ["opened", "resolved"]
    assert alert.state == ("firing" if value == 0.9 else "resolved")
    assert list(Happening.objects.values_list("what", flat=True)) == whats
    assert list(Chapter.objects.values_list("what", flat=True)) == whats
    # Judged by the sample that came while nothing could be written.
    moment = alert.opened_at if value == 0.9 else alert.resolved_at
    assert moment == ledger.moment(lost.received_ms)


@pytest.mark.django_db(transaction=True)
def test_a_database_that_cannot_be_read_stops_nothing_for_good(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = world.machine()
    world.rule()
    world.tick(machine, cpu=0.1)

    with monkeypatch.context() as patched:
        patched.setattr(rulebook, "load", before(rulebook.load))
        world.now_ms += 60_000
        broken(world, world.sample(machine, 0.9))
    for _ in range(3):
        world.tick(machine, cpu=0.9)

    assert len(open_alerts()) == 1


# -- the bus


class Brittle(MemoryBus):
    away = True

    def subscribe(
        self, *topics: str, group: str = ""
    ) -> AbstractAsyncContextManager[Events]:
        if self.away:
            raise BusDown("away")
        return super().subscribe(*topics, group=group)

    async def publish(self, event: Event) -> None:
        if self.away:
            raise BusDown("away")
        await super().publish(event)


async def until(state: str) -> None:
    await until_found(Alert.objects.filter(state=state).aexists)


@pytest.mark.django_db(transaction=True)
async def test_without_events_the_newest_samples_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "POLL_S", 0.2)
    machine, layout = await sync_to_async(prepare)()
    bus = Brittle()
    task = asyncio.create_task(Watch(bus).run())

    def arrives(number: int, value: float) -> None:
        now_ms = time.time_ns() // 1_000_000
        sample = StoredSample(machine.pk, layout, number, now_ms, now_ms, vector(value))
        get_hot().put([sample])

    try:
        await asyncio.to_thread(arrives, 1, 0.95)
        await until("firing")
        await asyncio.to_thread(arrives, 2, 0.1)
        await until("resolved")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert await Alert.objects.acount() == 1
