"""What an agent says beside its samples: goodbye, and what is between two ticks."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from asgiref.sync import sync_to_async
from sysmonstm_proto import metrics_pb2 as pb

from hub.events.bus import get_bus
from hub.events.event import MACHINES_CHANGED, METRICS_INSTANT, METRICS_RAW
from hub.ingest import farewells
from hub.ingest.stream import INSTANTS
from hub.ingest.tests import wire
from hub.machines.models import Machine
from hub.machines.registry import leave
from hub.rpc.tests.agent import Agent, agent, serving
from hub.storage.database import DatabaseDown
from hub.storage.hot import get_hot
from hub.storage.models import Sample
from hub.storage.sample import unpack
from hub.testing.patience import PATIENCE_S, until_found

pytestmark = pytest.mark.django_db(transaction=True)

GOODBYE = pb.MetricsRequest(goodbye=pb.Goodbye(reason="stopped"))


async def has_left() -> bool:
    return await Machine.objects.filter(left_at__isnull=False).aexists()


def instant(*values: float, sequence: int = 0, layout: int = 1) -> pb.MetricsRequest:
    return pb.MetricsRequest(instant=wire.sample(sequence, *values, layout=layout))


async def begin(web: Agent) -> None:
    await web.hello()
    await web.send(wire.layout("/"), wire.ticks([1], (0.5,)))
    await web.acked(1)


async def test_a_goodbye_is_noted_and_told_until_the_next_hello() -> None:
    async with serving() as (_, port):
        async with agent(port) as web:
            await begin(web)
            async with get_bus().subscribe(MACHINES_CHANGED) as events:
                await web.send(GOODBYE, GOODBYE)
                told = await asyncio.wait_for(anext(events), PATIENCE_S)
        machine = await Machine.objects.aget()
        async with agent(port) as web:
            await web.hello()
        again = await Machine.objects.aget()

    assert orjson.loads(told.payload) == {"pk": machine.pk, "machine_id": "web-1"}
    assert machine.left_at is not None
    assert again.left_at is None


async def test_what_was_sent_before_a_goodbye_is_acknowledged() -> None:
    async with serving() as (_, port), agent(port) as web:
        await begin(web)
        await web.send(wire.ticks([2, 3], (0.5,)), GOODBYE)
        await web.call.done_writing()

        await web.acked(3)
        await until_found(has_left)


async def test_a_goodbye_is_noted_when_the_database_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def leaves(*said: object) -> Machine | None:
        calls.append(said)
        if len(calls) < 3:
            raise DatabaseDown("away")
        return leave(*said)  # type: ignore[arg-type]

    monkeypatch.setattr("hub.machines.registry.leave", leaves)
    monkeypatch.setattr(farewells, "FIRST_PAUSE_S", 0.3)

    async with serving() as (_, port), agent(port) as web:
        await begin(web)
        await web.send(GOODBYE)
        await until_found(has_left)

    assert calls[0] == calls[-1]


async def test_an_instant_sample_is_shown_and_neither_stored_nor_kept() -> None:
    async with (
        serving() as (_, port),
        get_bus().subscribe(METRICS_INSTANT, METRICS_RAW) as events,
        agent(port) as web,
    ):
        await begin(web)
        await web.send(instant(0.75), wire.ticks([2], (0.25,)))
        await web.acked(2)
        heard: dict[tuple[str, int], bytes] = {}
        while len(heard) < 3:
            told = await asyncio.wait_for(anext(events), PATIENCE_S)
            (sample,) = unpack(told.payload)
            heard[told.topic, sample.sequence] = sample.values

    assert heard == {
        (METRICS_RAW, 1): wire.vector(0.5),
        (METRICS_INSTANT, 0): wire.vector(0.75),
        (METRICS_RAW, 2): wire.vector(0.25),
    }
    assert await Sample.objects.acount() == 2
    hot = await sync_to_async(get_hot().latest)()
    assert [sample.values for sample in hot.values()] == [wire.vector(0.25)]


async def test_instant_samples_that_are_wrong_or_too_many_are_left_out() -> None:
    async with (
        serving() as (_, port),
        get_bus().subscribe(METRICS_INSTANT) as events,
        agent(port) as web,
    ):
        await begin(web)
        await web.send(
            instant(0.1, 0.2),
            instant(0.1, layout=7),
            instant(0.1, sequence=9),
        )
        await web.send(*[instant(n / 100) for n in range(50)])
        await web.send(wire.ticks([2], (0.5,)))
        await web.acked(2)
        told = await asyncio.wait_for(anext(events), PATIENCE_S)
        shown = list(unpack(told.payload))
        try:
            while True:
                told = await asyncio.wait_for(anext(events), 0.3)
                shown += unpack(told.payload)
        except TimeoutError:
            pass

    # Those that are wrong have taken of what is allowed, too.
    assert 1 <= len(shown) <= INSTANTS
    assert {sample.sequence for sample in shown} == {0}
    assert not web.refusals
