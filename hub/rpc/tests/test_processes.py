"""Snapshots of processes on their way through a real server, and questions for them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from sysmonstm_proto import metrics_pb2 as pb

from hub.events.bus import get_bus
from hub.events.event import PROCESSES_SEEN, Event
from hub.ingest import asking
from hub.ingest.asking import Question
from hub.ingest.tests import wire
from hub.ingest.tests.wire import now_ms
from hub.machines.models import Machine
from hub.rpc.tests.agent import agent, serving
from hub.storage.hot import get_hot
from hub.testing.patience import PATIENCE_S

pytestmark = pytest.mark.django_db(transaction=True)


def snapshot(*pids: int, request: int = 0, **said: Any) -> pb.MetricsRequest:
    fields: dict[str, Any] = {"taken_unix_ms": now_ms(), "span_ms": 2_000}
    entries = [pb.ProcessEntry(pid=pid, name="stress", cpu=3.5) for pid in pids]
    return pb.MetricsRequest(
        processes=pb.ProcessSnapshot(request=request, entries=entries, **fields | said)
    )


async def seen(events: Any) -> dict[str, int]:
    event = await asyncio.wait_for(anext(events), PATIENCE_S)
    return dict(orjson.loads(event.payload))


@sync_to_async
def key(machine_id: str) -> int:
    return Machine.objects.get(machine_id=machine_id).pk


async def ask(question: Question) -> None:
    await get_bus().publish(asking.event(question))


async def test_a_snapshot_is_kept_and_told_of() -> None:
    async with (
        serving() as (_, port),
        get_bus().subscribe(PROCESSES_SEEN) as events,
        agent(port) as web,
    ):
        await web.hello("web-1")
        await web.send(snapshot(7, 8))
        told = await seen(events)

    pk = await key("web-1")
    assert (told["pk"], told["request"]) == (pk, 0)
    [kept] = await sync_to_async(get_hot().processes)(pk)
    assert kept.taken_ms == told["taken_ms"]
    assert [entry.pid for entry in kept.entries] == [7, 8]


async def test_a_bad_snapshot_harms_nothing_else() -> None:
    async with (
        serving() as (_, port),
        get_bus().subscribe(PROCESSES_SEEN) as events,
        agent(port) as web,
    ):
        first = (await web.hello()).committed_sequence + 1
        await web.send(snapshot(7, 7), wire.layout("/"), snapshot(0))
        await web.send(wire.samples(wire.sample(first, 0.5)), snapshot(9))
        await web.acked(first)
        told = await seen(events)

    [kept] = await sync_to_async(get_hot().processes)(told["pk"])
    assert [entry.pid for entry in kept.entries] == [9]


async def test_a_question_reaches_the_machine_whichever_process_holds_it() -> None:
    at_ms = now_ms() - 30_000
    async with (
        serving() as (_, one),
        serving() as (_, other),
        agent(one) as web,
        agent(other) as db,
    ):
        await web.hello("web-1")
        await db.hello("db-1")
        # Nobody holds this one; it disturbs nobody.
        await ask(Question(machine=2**40, around_ms=at_ms, request=1))
        await get_bus().publish(Event("processes.ask", b"garbage"))
        await ask(Question(await key("db-1"), at_ms, 17))
        await ask(Question(await key("web-1"), at_ms, 18))
        asked_web, asked_db = (await web.read()).ask, (await db.read()).ask

        async with get_bus().subscribe(PROCESSES_SEEN) as events:
            await web.send(snapshot(7, request=asked_web.request))
            told = await seen(events)

    assert (asked_db.request, asked_web.request) == (17, 18)
    # Both clocks are this machine's.
    assert abs(asked_web.around_unix_ms - at_ms) < 1_000
    assert asked_web.limit == 30
    assert told["request"] == 18


async def test_a_machines_clock_is_its_own() -> None:
    ahead_ms = 3_600_000
    hello = wire.hello("web-1")
    hello.hello.clock_unix_ms += ahead_ms
    async with (
        serving() as (_, port),
        get_bus().subscribe(PROCESSES_SEEN) as events,
        agent(port) as web,
    ):
        await web.send(hello)
        await web.read()
        await web.send(snapshot(7, taken_unix_ms=now_ms() + ahead_ms))
        told = await seen(events)
        await ask(Question(told["pk"], told["taken_ms"], 5))
        asked = (await web.read()).ask

    assert abs(told["taken_ms"] - time.time() * 1000) < 10_000
    assert abs(asked.around_unix_ms - ahead_ms - told["taken_ms"]) < 1_000
