"""What happens when something is slow, away, or too much."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
import redis as redis_client
from asgiref.sync import sync_to_async
from django.db import connection
from pytest_django import Settings

from hub.events.bus import get_bus, set_bus
from hub.events.event import METRICS_RAW
from hub.ingest import acks
from hub.ingest.tests import wire
from hub.rpc.tests.agent import agent, first_word, serving
from hub.storage import raw
from hub.storage.hot import set_hot
from hub.storage.models import Sample
from hub.storage.raw import Incoming, RefusedAt, Written
from hub.storage.sample import unpack
from hub.testing import services
from hub.testing.patience import PATIENCE_S, until

pytestmark = pytest.mark.django_db(transaction=True)


class Gate:
    """`raw.write` behind a gate: a database that takes its time."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def write(self, batch: Sequence[Incoming], refused: Sequence[RefusedAt]) -> Written:
        assert self.open.wait(2 * PATIENCE_S)
        return raw.write(batch, refused)


async def test_a_full_queue_reaches_the_agent_as_flow_control() -> None:
    gate = Gate()

    async with serving() as (server, port), agent(port) as web:
        writer = server._writer
        writer._isolator._write, writer._queue_limit = gate.write, 50
        writer._away_s = 10 * PATIENCE_S
        await web.hello()
        await web.send(wire.layout("/"))
        sending = asyncio.create_task(_send_for_ever(web.call))
        await until(lambda: writer.stats.waiting >= 50)
        await asyncio.sleep(0.5)
        waiting = writer.stats.waiting
        sending.cancel()
        gate.open.set()

    # One message more than the limit: it was read when there was room.
    assert 50 <= waiting <= 60


async def _send_for_ever(call: Any) -> None:
    first = 1
    while True:
        await call.write(wire.ticks(range(first, first + 10), (0.5,)))
        first += 10


async def test_samples_wait_for_the_database_and_are_not_acknowledged() -> None:
    gate = Gate()

    async with serving() as (server, port), agent(port) as web:
        server._writer._isolator._write = gate.write
        await web.hello()
        await web.send(wire.layout("/"), wire.ticks([1], (0.5,)))
        early = asyncio.create_task(web.acked(1))
        await asyncio.sleep(0.3)
        assert not early.done()
        gate.open.set()
        await early

    assert await Sample.objects.acount() == 1


async def test_what_finds_no_room_is_shown_once_and_stored_when_the_agent_resumes() -> (
    None
):
    gate, everything = Gate(), list(range(1, 31))

    async with serving() as (server, port), get_bus().subscribe(METRICS_RAW) as events:
        writer = server._writer
        writer._isolator._write, writer._queue_limit = gate.write, 10
        writer._away_s = 0.2
        shown: list[int] = []
        async with agent(port) as web:
            await web.hello()
            await web.send(wire.layout("/"))
            for sequence in everything:
                await web.send(wire.samples(wire.sample(sequence, 0.5)))
            while len(shown) < 30:
                event = await asyncio.wait_for(anext(events), PATIENCE_S)
                shown += [sample.sequence for sample in unpack(event.payload)]
            most = writer.stats.waiting
            gate.open.set()
            called = await web.read()
            while not called.HasField("reconnect"):
                called = await web.read()
        async with agent(port) as web:
            first = (await web.hello()).committed_sequence + 1
            rest = [wire.sample(n, 0.5) for n in range(first, 32)]
            await web.send(wire.layout("/"), wire.samples(*rest))
            await web.acked(31)
        event = await asyncio.wait_for(anext(events), PATIENCE_S)

    # The queue held its ten; all others were shown and dropped.
    assert (most, first) == (10, 11)
    assert shown == everything
    assert [sample.sequence for sample in unpack(event.payload)] == [31]
    stored = Sample.objects.order_by("sequence").values_list("sequence", flat=True)
    assert [number async for number in stored] == [*everything, 31]


@pytest.mark.production_only
async def test_a_lost_connection_to_the_database_costs_no_sample() -> None:
    async with serving() as (_, port), agent(port) as web:
        await web.hello()
        await web.send(wire.layout("/"), wire.ticks([1], (0.5,)))
        await web.acked(1)
        await sync_to_async(_end_all_connections)()
        await web.send(wire.ticks([2, 3], (0.5,)))
        await web.acked(3)

    assert await Sample.objects.acount() == 3


def _end_all_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
            " datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )


@pytest.mark.process
async def test_without_redis_samples_are_stored_and_acknowledged(
    settings: Settings,
) -> None:
    with services.redis() as url:
        settings.REDIS_URL = url
        set_bus(None)
        set_hot(None)
        async with serving() as (_, port), agent(port) as web:
            await web.hello()
            await web.send(wire.layout("/"), wire.ticks([1], (0.5,)))
            await web.acked(1)
            await sync_to_async(_shut_down)(url)
            began = time.monotonic()
            for sequence in range(2, 12):
                await web.send(wire.ticks([sequence], (0.5,)))
                await web.acked(sequence)
            took_s = time.monotonic() - began

    # It is not waited for with each of them.
    assert took_s < 15
    assert await Sample.objects.acount() == 11


def _shut_down(url: str) -> None:
    with (
        redis_client.Redis.from_url(url) as client,
        contextlib.suppress(redis_client.ConnectionError),
    ):
        client.shutdown(nosave=True)


async def test_an_agent_that_reads_nothing_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acks, "WRITE_S", 0.3)
    # So that little is under way when nobody reads.
    narrow = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1_024)]

    async with serving() as (server, port), agent(port, options=narrow) as web:
        sweeping = asyncio.create_task(server._streams.sweep(every_s=0.05))
        await web.hello()
        await web.send(wire.layout("/"))
        # Each is refused with a sentence, and nobody reads them.
        sending = asyncio.create_task(_send_unknown(web.call))
        await until(lambda: not server.streams)
        sending.cancel()
        sweeping.cancel()


async def _send_unknown(call: Any) -> None:
    first = 1
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        while True:
            unknown = [wire.sample(n, 0.5, layout=9) for n in range(first, first + 500)]
            await call.write(wire.samples(*unknown))
            first += 500


@pytest.mark.parametrize("limit", ["_limit", "_limit_per_peer"])
async def test_there_are_only_so_many_streams(limit: str) -> None:
    async with serving() as (server, port):
        setattr(server._streams, limit, 2)
        async with agent(port) as one:
            await one.hello("one")
            async with agent(port) as two:
                await two.hello("two")
                async with agent(port) as three:
                    refused = await three.end()
        # The counters come back down: there is room again.
        await until(lambda: not server.streams)
        async with agent(port) as four:
            await four.hello("four")

    assert refused[0] == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_hub_that_is_leaving_takes_no_new_stream() -> None:
    async with serving() as (server, port):
        server._streams.leave()
        code, _ = await first_word(lambda: agent(port))

    assert code == grpc.StatusCode.UNAVAILABLE


async def test_stopping_twice_is_stopping_once() -> None:
    async with serving() as (server, port), agent(port) as web:
        await web.hello()
        await asyncio.gather(server.stop(5), server.stop(5))
        code, sentence = await web.end()

    assert (code, sentence) == (
        grpc.StatusCode.UNAVAILABLE,
        "The hub is restarting.",
    )
