"""One conversation after another, with a real server."""

from __future__ import annotations

import asyncio
import socket
import threading

import grpc
import pytest
from sysmonstm_agent import stream
from sysmonstm_agent.client import Client
from sysmonstm_agent.measuring import Measuring
from sysmonstm_agent.memory_spool import MemorySpool
from sysmonstm_agent.metric import Metric, Reading
from sysmonstm_agent.sampler import Sampler
from sysmonstm_agent.spool import Spooled
from sysmonstm_proto import metrics_pb2 as pb

from tests.hub import Conversation, Hub
from tests.patience import PATIENCE_S, until
from tests.talking import (
    HEAT,
    MACHINE,
    Pauses,
    config,
    for_ever,
    playing,
    sample,
    spool_of,
    talking,
)


async def test_the_token_goes_along_as_a_bearer() -> None:
    async def script(talk: Conversation) -> None:
        assert talk.metadata["authorization"] == "Bearer smt_abc"
        await for_ever(talk)

    async with playing(
        spool_of(0), script, environment={"COLLECTOR_TOKEN": "smt_abc"}
    ) as (hub, client):
        await until(lambda: hub.streams)
        client.leave()
        await hub.played()


async def test_a_hub_that_always_has_more_than_was_sent_is_asked_ever_more_seldom(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pauses = Pauses()

    async def mad(talk: Conversation) -> None:
        await talk.welcome(cursor=1_000_000)
        await talk.rest()

    scripts = [mad] * 6
    async with playing(spool_of(2), *scripts, for_ever, pauses=pauses) as (hub, _):
        await until(lambda: hub.streams == 7)

    # The first time it is likely a clone, and the new epoch is the answer.
    assert pauses[:6] == [1.5, 1, 2, 4, 8, 16]
    events = [r.__dict__["fields"] for r in caplog.records if r.message == "hub.away"]
    assert events[1]["trouble"] == "the hub claims to have what was never sent"


async def test_told_to_reconnect_it_hears_the_last_acks_and_comes_back() -> None:
    spool, pauses = spool_of(2), Pauses()

    async def leaving(talk: Conversation) -> None:
        await talk.welcome()
        assert await talk.sequences(2) == [1, 2]
        reconnect = pb.Reconnect(after_ms=4_000)
        await talk.context.write(pb.StreamAck(reconnect=reconnect))
        assert await talk.rest() == []
        await talk.ack(2)

    async def back(talk: Conversation) -> None:
        await talk.welcome(cursor=2)

    async with playing(spool, leaving, back, for_ever, pauses=pauses) as (hub, _):
        await until(lambda: hub.streams == 3)

    assert not spool.oldest
    # About 4 s, with the jitter at its most; then the first failure, at most 1 s.
    assert pauses == [6.0, 1.0]


async def test_a_hub_that_says_nothing_is_left_alone_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "WELCOME_S", 0.1)

    async def silent(talk: Conversation) -> None:
        await talk.rest()

    pauses = Pauses()
    async with playing(spool_of(1), silent, silent, for_ever, pauses=pauses) as (
        hub,
        _,
    ):
        await until(lambda: hub.streams == 3)

    assert pauses == [1, 2]


async def test_it_never_gives_up_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        pauses = Pauses()
        async with talking(config(port), spool_of(1), pauses):
            await until(lambda: len(pauses) >= 8)

    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [record.message for record in caplog.records] == ["hub.away"]


async def test_it_finds_a_hub_that_comes_up_later() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    pauses, spool = Pauses(), spool_of(2)
    async with talking(config(port), spool, pauses):
        await until(lambda: len(pauses) >= 2)

        async def script(talk: Conversation) -> None:
            await talk.welcome()
            await talk.sequences(2)
            await talk.ack(2)
            await talk.rest()

        async with Hub(script).serving(port):
            await until(lambda: not spool.oldest)


async def test_a_refused_credential_is_told_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def refuse(talk: Conversation) -> None:
        await talk.context.abort(grpc.StatusCode.UNAUTHENTICATED, "Wrong token.")

    async with playing(spool_of(1), refuse, refuse, for_ever) as (hub, _):
        await until(lambda: hub.streams == 3)

    away = [r for r in caplog.records if r.message == "hub.away"]
    assert away[0].__dict__["fields"]["trouble"] == "UNAUTHENTICATED: Wrong token."
    assert [record.levelname for record in away] == ["ERROR"]


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED]
)
async def test_a_door_that_was_shut_is_left_alone_for_a_minute(
    code: grpc.StatusCode,
) -> None:
    async def shut(talk: Conversation) -> None:
        await talk.next("hello")
        await talk.context.abort(code, "Not you.")

    pauses = Pauses()
    async with playing(spool_of(0), shut, shut, for_ever, pauses=pauses) as (hub, _):
        await until(lambda: hub.streams == 3)

    assert pauses == [120, 120]


class Broken(MemorySpool):
    """A spool that cannot be read the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def read(self, after: int, limit: int) -> list[Spooled]:
        self.reads += 1
        if self.reads == 1:
            raise OSError(5, "Input/output error")
        return super().read(after, limit)


async def test_a_fault_of_its_own_does_not_end_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spool = Broken()
    spool.append(sample())

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        assert await talk.sequences(1) == [1]

    async with playing(spool, for_ever, script, for_ever) as (hub, _):
        await until(lambda: hub.streams == 3)

    assert "client.failed" in [record.message for record in caplog.records]
    assert "Input/output error" in caplog.text


async def test_leaving_waits_for_the_acks_of_what_was_sent() -> None:
    spool = spool_of(1)
    sent = asyncio.Event()

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        await talk.sequences(1)
        sent.set()
        assert await talk.rest() == []
        await talk.ack(1)

    async with Hub(script).serving() as hub:
        client = Client(config(hub.port), MACHINE, spool)
        task = asyncio.create_task(client.run())
        await sent.wait()

        assert client.leave()

        await until(task.done)
        assert not spool.oldest


class Fan:
    name = "fan"
    metrics: tuple[Metric, ...] = (HEAT,)

    def collect(self, now_s: float) -> list[Reading]:
        return [Reading(HEAT, 40)]


async def test_a_hub_that_does_not_read_stops_no_measuring() -> None:
    stuck = asyncio.Event()

    async def deaf(talk: Conversation) -> None:
        await talk.welcome(window=100_000)
        await stuck.wait()

    # More than the transport buffers, so that the client waits in a write.
    spool = spool_of(3_000, size=8_000)
    async with playing(spool, deaf) as (_, client):
        loop = asyncio.get_running_loop()
        measuring = Measuring(
            Sampler([Fan()]),
            spool,
            interval_s=0.05,
            appended=lambda: loop.call_soon_threadsafe(client.wake),
        )
        measuring.start()
        before = spool.last
        await until(lambda: spool.last >= before + 10)
        measuring.stop()
        stuck.set()


def test_a_blocked_event_loop_stops_no_measuring() -> None:
    spool = spool_of(0)
    told = threading.Semaphore(0)
    measuring = Measuring(
        Sampler([Fan()]), spool, interval_s=0.02, appended=told.release
    )
    measuring.start()

    # No event loop runs here at all.
    for _ in range(5):
        assert told.acquire(timeout=PATIENCE_S)

    measuring.stop()
    assert spool.last >= 5
