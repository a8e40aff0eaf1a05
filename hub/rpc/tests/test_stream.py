"""Streams from Hello to the acknowledgement, over a real connection."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import grpc
import pytest
from asgiref.sync import sync_to_async
from sysmonstm_proto import metrics_pb2 as pb

from hub.events.bus import get_bus
from hub.events.event import MACHINES_CHANGED, METRICS_RAW
from hub.ingest.tests import wire
from hub.machines.models import Machine
from hub.rpc.tests.agent import agent, raw_bytes, serving
from hub.storage.hot import get_hot
from hub.storage.models import Cursor, Layout, Metric, Sample
from hub.storage.sample import unpack
from hub.testing.patience import PATIENCE_S, until

pytestmark = pytest.mark.django_db(transaction=True)


@sync_to_async
def stored(machine_id: str = "web-1") -> list[int]:
    found = Sample.objects.filter(machine__machine_id=machine_id)
    return list(found.order_by("sequence").values_list("sequence", flat=True))


async def test_samples_are_stored_once_acknowledged_and_told() -> None:
    async with serving() as (_, port), get_bus().subscribe(METRICS_RAW) as events:
        async with agent(port) as web:
            welcome = await web.hello()
            await web.send(wire.layout("/", "/home"), wire.ticks([1, 2], (0.5, 0.25)))
            await web.acked(2)
        event = await asyncio.wait_for(anext(events), PATIENCE_S)

    assert (welcome.committed_sequence, welcome.window) == (0, 256)
    assert abs(welcome.clock_unix_ms - wire.now_ms()) < PATIENCE_S * 1000
    assert await stored() == [1, 2]
    told = unpack(event.payload)
    assert [sample.sequence for sample in told] == [1, 2]
    latest = await sync_to_async(get_hot().latest)()
    assert latest[told[0].machine].values == wire.vector(0.5, 0.25)


async def test_the_machine_and_its_metrics_are_learnt_from_the_agent() -> None:
    async with serving() as (_, port), agent(port) as web:
        async with get_bus().subscribe(MACHINES_CHANGED) as events:
            await web.hello("db.example.org")
            event = await asyncio.wait_for(anext(events), PATIENCE_S)
        await web.send(wire.layout("/", "/home"), wire.ticks([1], (0.5, 0.25)))
        await web.acked(1)

    machine = await Machine.objects.aget()
    assert machine.machine_id == "db.example.org"
    assert machine.os == "Debian GNU/Linux 12 (bookworm)"
    assert f'"pk":{machine.pk}'.encode() in event.payload
    metric = await Metric.objects.aget()
    assert (metric.name, metric.unit) == ("system.filesystem.utilization", "1")
    assert await Layout.objects.acount() == 1


async def test_an_agent_that_returns_goes_on_at_its_cursor() -> None:
    async with serving() as (_, port):
        async with agent(port) as web:
            await web.hello()
            await web.send(wire.layout("/"), wire.ticks(range(1, 6), (0.5,)))
            await web.acked(5)
        async with agent(port) as web:
            welcome = await web.hello()

    assert welcome.committed_sequence == 5


async def test_a_repeat_is_acknowledged_and_not_stored_twice() -> None:
    async with serving() as (server, port), agent(port) as web:
        await web.hello()
        await web.send(wire.layout("/"), wire.ticks([1, 2, 3], (0.5,)))
        await web.acked(3)
        async with agent(port) as again:
            await again.hello()
            await again.send(wire.layout("/"), wire.ticks([2, 3, 4], (0.5,)))
            await again.acked(4)

        assert await stored() == [1, 2, 3, 4]
        assert server.stats.duplicates == 2


async def test_a_new_spool_counts_from_its_own_beginning() -> None:
    async with serving() as (_, port):
        async with agent(port) as web:
            await web.hello()
            await web.send(wire.layout("/"), wire.ticks([1, 2], (0.5,)))
            await web.acked(2)
        async with agent(port) as web:
            welcome = await web.hello(epoch=bytes(16))
            await web.send(wire.layout("/"), wire.samples(wire.sample(1, 0.5)))
            await web.acked(1)

    assert welcome.committed_sequence == 0
    assert await stored() == [1, 1, 2]


async def test_bad_samples_are_refused_by_number_and_the_ack_passes_them() -> None:
    async with serving() as (_, port), agent(port) as web:
        await web.hello()
        await web.send(
            wire.layout("/"),
            wire.samples(
                wire.sample(1, 0.5),
                wire.sample(2, 0.5, 0.5),
                wire.sample(3, 0.5, layout=7),
                wire.sample(4, 0.5, time_ms=0),
                wire.sample(3, 0.5),
                wire.sample(5, math.inf),
                wire.sample(6, 0.5, time_ms=0),
            ),
        )
        await web.acked(6)

    assert [(r.sequence, r.reason) for r in web.refusals] == [
        (2, pb.REFUSAL_REASON_WRONG_LENGTH),
        (3, pb.REFUSAL_REASON_UNKNOWN_LAYOUT),
        (4, pb.REFUSAL_REASON_TIME_OUT_OF_RANGE),
        (3, pb.REFUSAL_REASON_OUT_OF_ORDER),
        (6, pb.REFUSAL_REASON_TIME_OUT_OF_RANGE),
    ]
    assert await stored() == [1, 5]


async def test_infinity_is_stored_as_no_reading() -> None:
    async with serving() as (_, port), agent(port) as web:
        await web.hello()
        await web.send(wire.layout("/"), wire.samples(wire.sample(1, math.inf)))
        await web.acked(1)

    latest = await sync_to_async(get_hot().latest)()
    [sample] = latest.values()
    assert sample.values == wire.vector(math.nan)


async def test_a_layout_may_change_within_a_stream() -> None:
    async with serving() as (_, port), agent(port) as web:
        await web.hello()
        await web.send(
            wire.layout("/", id=1),
            wire.samples(wire.sample(1, 0.5, layout=1)),
            wire.layout("/", "/home", id=2),
            wire.samples(wire.sample(2, 0.5, 0.5, layout=2)),
        )
        await web.acked(2)

    assert web.refusals == []
    assert await Layout.objects.acount() == 2


async def test_the_newest_stream_of_a_machine_wins() -> None:
    async with serving() as (server, port), agent(port) as old, agent(port) as new:
        await old.hello()
        await new.hello()
        ended = await old.end()
        await asyncio.sleep(0.1)

        await new.send(wire.layout("/"), wire.ticks([1], (0.5,)))
        await new.acked(1)
        await until(lambda: server.streams == 1)

        async with agent(port) as newest:
            await newest.hello()
            assert (await new.end())[0] == grpc.StatusCode.ABORTED

    assert ended == (
        grpc.StatusCode.ABORTED,
        "A newer stream of this machine took over.",
    )


async def test_an_agent_that_closes_its_side_hears_the_last_word() -> None:
    async with serving() as (_, port), agent(port) as web:
        await web.hello()
        await web.send(wire.layout("/"), wire.ticks(range(1, 100), (0.5,)))
        await web.call.done_writing()
        await web.acked(99)

        assert await web.end() == (grpc.StatusCode.OK, "")


async def test_an_agent_that_vanishes_leaves_nothing_behind() -> None:
    async with serving() as (server, port):
        async with agent(port) as web:
            await web.hello()
            assert server.streams == 1
        await until(lambda: not server.streams)


async def test_a_removed_machine_must_say_hello_again() -> None:
    async with serving() as (_, port):
        async with agent(port) as web:
            await web.hello()
            await web.send(wire.layout("/"), wire.ticks([1], (0.5,)))
            await web.acked(1)
            await Machine.objects.all().adelete()
            await web.send(wire.ticks([2], (0.5,)))
            ended = await web.end()
        async with agent(port) as web:
            welcome = await web.hello()

    assert ended == (
        grpc.StatusCode.ABORTED,
        "The machine was removed; say Hello again.",
    )
    assert welcome.committed_sequence == 0
    assert await Cursor.objects.acount() == 0


def first_is_no_hello() -> list[pb.MetricsRequest]:
    return [wire.layout("/")]


def hello_twice() -> list[pb.MetricsRequest]:
    return [wire.hello(), wire.hello()]


def no_machine() -> list[pb.MetricsRequest]:
    return [wire.hello("")]


def slash() -> list[pb.MetricsRequest]:
    return [wire.hello("../../etc/passwd")]


def no_epoch() -> list[pb.MetricsRequest]:
    return [wire.hello(epoch=b"")]


def bad_layout() -> list[pb.MetricsRequest]:
    return [wire.hello(), wire.layout("/", "/")]


@pytest.mark.parametrize(
    "said", [first_is_no_hello, hello_twice, no_machine, slash, no_epoch, bad_layout]
)
async def test_a_stream_that_breaks_the_contract_is_refused(said: Any) -> None:
    async with serving() as (server, port):
        async with agent(port) as web:
            await web.send(*said())
            code, sentence = await web.end()

        # The others are not disturbed.
        async with agent(port) as good:
            await good.hello("good")
            await good.send(wire.layout("/"), wire.ticks([1], (0.5,)))
            await good.acked(1)

    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert sentence.endswith(".")
    assert server.streams == 0


async def test_bytes_that_are_no_message_are_refused() -> None:
    async with serving() as (_, port):
        assert await raw_bytes(port, b"\xff\xff\xff") == (
            grpc.StatusCode.INVALID_ARGUMENT
        )


async def test_a_message_above_the_limit_is_refused() -> None:
    async with serving() as (_, port):
        code = await raw_bytes(port, bytes(1024 * 1024 + 1))

    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_big_metadata_do_not_reach_the_service() -> None:
    async with serving() as (server, port):
        async with agent(port, metadata=(("x", "y" * 20_000),)) as web:
            code, _ = await web.end()
        await until(lambda: not server.streams)

    assert code in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}


async def test_who_says_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as (server, port), agent(port) as web:
        server._servicer._hello_s = 0.1
        await web.send()
        code, sentence = await web.end()

    assert (code, sentence) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "No Hello within 0 s.",
    )


async def test_a_hello_in_time_is_not_ended_later() -> None:
    async with serving() as (server, port), agent(port) as web:
        server._servicer._hello_s = 1
        await web.hello()
        await asyncio.sleep(1.2)
        await web.send(wire.layout("/"), wire.ticks([1], (0.5,)))
        await web.acked(1)
