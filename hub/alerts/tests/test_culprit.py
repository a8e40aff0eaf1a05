"""Which process did it, and that the alert says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from hub.alerts import culprit
from hub.alerts.inquiry import GOOD_MS, Inquiry
from hub.alerts.models import Alert, Culprit, Delivery
from hub.alerts.packing import pack
from hub.alerts.tests.office import NOON, Office, contact, made
from hub.events.bus import Bus
from hub.events.event import (
    ALERTS_CHANGED,
    ALERTS_OPENED,
    PROCESSES_ASK,
    PROCESSES_SEEN,
    Event,
)
from hub.events.memory import MemoryBus
from hub.storage.hot import get_hot, set_hot
from hub.storage.hot_memory import MemoryHot
from hub.storage.processes import Entry, Snapshot
from hub.testing.patience import PATIENCE_S

CPU, MEMORY = "system.cpu.utilization", "system.memory.utilization"
PRESSURE = "system.pressure.some"
GIB = 2**30

HOG = Entry(
    pid=4711,
    name="stress-ng",
    user="root",
    command="stress-ng --cpu 4",
    started_ms=None,
    cpu=3.9,
    memory_bytes=GIB // 100,
    memory=0.001,
    read=None,
    write=None,
)
HEAP = replace(HOG, pid=5, name="java", cpu=0.5, memory_bytes=3 * GIB, memory=0.375)
DISK = replace(HOG, pid=6, name="dd", cpu=0.0, read=0.0, write=2.0**20 * 30)
ALL = (DISK, HEAP, HOG)


def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def seen(
    at: datetime, *entries: Entry, machine: int = 1, span_ms: int = 2_000
) -> Snapshot:
    return Snapshot(machine, ms(at), span_ms, entries or ALL)


def alert(at: datetime = NOON, metric: str = CPU, **said: Any) -> Alert:
    for_s = said.pop("for_s", 0)
    snapshot = {"name": "busy", "unit": "1", "kind": "threshold", "for_s": for_s}
    found = made("db-1", "warning", at, metric=metric, snapshot=snapshot, **said)
    found.save()
    return found


# -- words


@pytest.mark.parametrize(
    ("entry", "rank", "said"),
    [
        (HOG, "cpu", "used 3.9 cores"),
        (replace(HOG, cpu=1.0), "cpu", "used 1 core"),
        (replace(HOG, cpu=0.042), "cpu", "used 0.042 cores"),
        (replace(HOG, cpu=127.6), "cpu", "used 128 cores"),
        (HEAP, "memory", "held 3 GiB of memory (38 % of all)"),
        (replace(HEAP, memory=0.0), "memory", "held 3 GiB of memory"),
        (DISK, "io", "read 0 B/s and wrote 30 MiB/s"),
        (replace(DISK, read=None), "io", "read nothing and wrote 30 MiB/s"),
    ],
)
def test_what_a_process_used_is_said_in_words(
    entry: Entry, rank: str, said: str
) -> None:
    assert culprit.used(entry, rank) == said


def test_a_line_names_the_process_its_user_and_the_moment() -> None:
    at = datetime(2026, 3, 1, 14, 3, 10, tzinfo=UTC)

    told = culprit.line(HOG, "cpu", at)
    nobody = culprit.line(replace(HOG, user="", name=""), "cpu", at)

    expected = "stress-ng (pid 4711, user root) used 3.9 cores at 14:03:10 UTC"
    assert told == expected
    assert nobody == "a process (pid 4711) used 3.9 cores at 14:03:10 UTC"


@pytest.mark.parametrize(
    ("metric", "attributes", "rank"),
    [
        (CPU, {}, "cpu"),
        ("system.cpu.load_average.15m", {}, "cpu"),
        ("system.temperature", {}, "cpu"),
        (MEMORY, {}, "memory"),
        ("system.paging.utilization", {}, "memory"),
        ("system.filesystem.utilization", {}, "io"),
        ("system.disk.utilization", {}, "io"),
        (PRESSURE, {"resource": "io"}, "io"),
        (PRESSURE, {"resource": "memory"}, "memory"),
        (PRESSURE, {"resource": "cpu"}, "cpu"),
        (PRESSURE, {}, None),
        ("system.network.io", {}, None),
        ("cpu.of.somebody", {}, None),
        ("", {}, None),
    ],
)
def test_the_ranking_is_that_of_the_rules_metric(
    metric: str, attributes: dict[str, str], rank: str | None
) -> None:
    found = Alert(metric=metric, attributes=attributes, snapshot={"kind": "threshold"})

    assert culprit.rank_of(found) == rank


def test_nobody_is_behind_a_machine_that_is_silent() -> None:
    assert culprit.rank_of(Alert(metric=CPU, snapshot={"kind": "down"})) is None


# -- which snapshot


@pytest.mark.parametrize(
    ("metric", "attributes", "pids"),
    [
        (CPU, {}, [4711, 5]),
        (MEMORY, {}, [5, 6, 4711]),
        (PRESSURE, {"resource": "io"}, [6]),
    ],
)
@pytest.mark.django_db
def test_the_worst_of_the_rules_metric_is_the_first(
    metric: str, attributes: dict[str, str], pids: list[int]
) -> None:
    found = alert(metric=metric, attributes=attributes)

    assert culprit.attach(found, [seen(NOON)])

    kept = Alert.objects.select_related("culprit").get(pk=found.pk)
    assert sorted(one.pid for one in culprit.culprit(kept)) == sorted(pids)
    assert culprit.culprit(kept)[0].pid == pids[0]


@pytest.mark.django_db
def test_the_moment_is_when_the_trouble_began() -> None:
    found = alert(for_s=300)
    began = NOON - timedelta(seconds=300)
    then = seen(began + timedelta(seconds=2), HOG)
    now = seen(NOON, HEAP)

    culprit.attach(found, [now, then])

    assert [one.name for one in culprit.culprit(found)] == ["stress-ng"]
    assert found.culprit.taken_at == began + timedelta(seconds=2)


@pytest.mark.parametrize("off_s", [-400, 70])
@pytest.mark.django_db
def test_what_was_seen_at_another_time_is_no_evidence(off_s: float) -> None:
    found = alert(for_s=300)

    assert not culprit.attach(found, [seen(NOON + timedelta(seconds=off_s))])
    assert culprit.culprit(found) == []
    assert culprit.lines(found) == []


@pytest.mark.django_db
def test_a_better_one_replaces_a_worse_one_and_not_the_other_way() -> None:
    found = alert()
    blurred, sharp = seen(NOON, HEAP, span_ms=30_000), seen(NOON, HOG)

    assert culprit.attach(found, [blurred])
    assert culprit.attach(found, [sharp])
    assert not culprit.attach(found, [blurred])
    assert not culprit.attach(found, [sharp])

    kept = Alert.objects.get(pk=found.pk)
    assert [one.name for one in culprit.culprit(kept)] == ["stress-ng"]
    assert Culprit.objects.count() == 1


@pytest.mark.django_db
def test_processes_that_used_none_of_it_are_behind_nothing() -> None:
    found = alert(metric=PRESSURE, attributes={"resource": "io"})

    assert not culprit.attach(found, [seen(NOON, HOG, HEAP)])


# -- in messages


@pytest.mark.django_db
def test_a_notification_names_the_culprit() -> None:
    contact()
    office = Office()
    opened = office.open(metric=CPU)
    culprit.attach(opened, [seen(NOON, HOG, HEAP)])

    [parcel] = office.until(60)

    line = "stress-ng (pid 4711, user root) used 3.9 cores at 12:00:00 UTC"
    assert line in parcel.text
    assert line in parcel.html
    [told] = orjson.loads(parcel.payload)["alerts"]
    assert told["processes"]["ranked_by"] == "cpu"
    names = [one["name"] for one in told["processes"]["entries"]]
    assert names == ["stress-ng", "java"]


@pytest.mark.django_db
def test_a_process_cannot_write_the_message() -> None:
    contact()
    office = Office()
    opened = office.open(metric=CPU)
    evil = replace(HOG, name="<b>x</b>", user="@everyone")
    culprit.attach(opened, [seen(NOON, evil)])

    [parcel] = office.until(60)

    assert "<b>x</b>" not in parcel.html
    assert "<b>x</b>" not in parcel.brief_html
    assert "@everyone" not in parcel.text


@pytest.mark.django_db
def test_a_message_without_a_culprit_is_whole() -> None:
    contact()
    office = Office()
    office.open(metric=CPU)

    office.until(60)

    delivery = Delivery.objects.get()
    [told] = orjson.loads(pack(delivery, NOON).payload)["alerts"]
    assert told["processes"] is None


# -- asking


@asynccontextmanager
async def inquiring() -> AsyncIterator[Bus]:
    set_hot(MemoryHot())
    bus = MemoryBus()
    task = asyncio.create_task(Inquiry(bus).run())
    await asyncio.sleep(0.05)
    try:
        yield bus
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@sync_to_async
def opened(**said: Any) -> Alert:
    return alert(timezone.now(), **said)


@sync_to_async
def names(found: Alert) -> list[str]:
    kept = Alert.objects.get(pk=found.pk)
    return [one.name for one in culprit.culprit(kept)]


async def tell_opened(bus: Bus, found: Alert) -> None:
    await bus.publish(Event(ALERTS_OPENED, orjson.dumps({"alert": found.pk})))


async def arrives(bus: Bus, snapshot: Snapshot) -> None:
    await asyncio.to_thread(get_hot().put_processes, snapshot)
    payload = {"pk": snapshot.machine, "taken_ms": snapshot.taken_ms, "request": 0}
    await bus.publish(Event(PROCESSES_SEEN, orjson.dumps(payload)))


async def next_of(events: Any) -> dict[str, Any]:
    event = await asyncio.wait_for(anext(events), PATIENCE_S)
    return dict(orjson.loads(event.payload))


@pytest.mark.django_db(transaction=True)
async def test_what_is_known_is_attached_at_once_and_nobody_is_asked() -> None:
    found = await opened()
    assert found.machine_id is not None
    async with (
        inquiring() as bus,
        bus.subscribe(ALERTS_CHANGED, PROCESSES_ASK) as told,
    ):
        machine = found.machine_id
        at = found.opened_at + timedelta(milliseconds=GOOD_MS - 1_000)
        await asyncio.to_thread(get_hot().put_processes, seen(at, HOG, machine=machine))
        await tell_opened(bus, found)
        changed = await next_of(told)
        # Whatever it had to tell or ask came before this.
        await tell_opened(bus, found)
        await bus.publish(Event(PROCESSES_ASK, b'{"request": 0}'))
        asked = await next_of(told)

    assert changed["alert"] == found.pk
    assert changed["machine"] == "db-1"
    assert await names(found) == ["stress-ng"]
    assert asked == {"request": 0}


@pytest.mark.django_db(transaction=True)
async def test_what_is_not_known_is_asked_for_and_attached_when_it_comes() -> None:
    found = await opened(for_s=60)
    began = found.opened_at - timedelta(seconds=60)
    async with (
        inquiring() as bus,
        bus.subscribe(PROCESSES_ASK) as asked,
        bus.subscribe(ALERTS_CHANGED) as told,
    ):
        await tell_opened(bus, found)
        question = await next_of(asked)
        assert found.machine_id is not None
        await arrives(bus, seen(began, HOG, machine=found.machine_id))
        changed = await next_of(told)

    assert question == {
        "machine": found.machine_id,
        "around_ms": ms(began),
        "request": found.pk,
    }
    assert changed["alert"] == found.pk
    assert await names(found) == ["stress-ng"]


@pytest.mark.django_db(transaction=True)
async def test_an_alert_of_yesterday_keeps_what_it_has() -> None:
    old = await sync_to_async(alert)(timezone.now() - timedelta(seconds=90))
    young = await opened(series_key="young")
    async with inquiring() as bus, bus.subscribe(ALERTS_CHANGED) as told:
        assert young.machine_id is not None
        at = old.opened_at + timedelta(seconds=45)
        await arrives(bus, seen(at, HOG, machine=young.machine_id))
        changed = await next_of(told)

    assert changed["alert"] == young.pk
    assert await names(old) == []


@pytest.mark.django_db(transaction=True)
async def test_garbage_on_the_bus_ends_nothing() -> None:
    found = await opened()
    async with inquiring() as bus, bus.subscribe(PROCESSES_ASK) as asked:
        await bus.publish(Event(ALERTS_OPENED, b"garbage"))
        await bus.publish(Event(ALERTS_OPENED, b'{"alert": 99999}'))
        await bus.publish(Event(PROCESSES_SEEN, b"{}"))
        await tell_opened(bus, found)

        assert (await next_of(asked))["request"] == found.pk
