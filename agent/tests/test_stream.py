"""What is said within one conversation, with a real server."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest
from sysmonstm_agent import __version__, stream
from sysmonstm_agent.layout import Layout
from sysmonstm_agent.memory_spool import MemorySpool
from sysmonstm_agent.metric import Series
from sysmonstm_proto import metrics_pb2 as pb

from tests.hub import Conversation
from tests.patience import until
from tests.talking import (
    HEAT,
    ONE,
    TWO,
    for_ever,
    playing,
    sample,
    spool_of,
)


async def test_hello_says_who_is_here_and_what_is_in_the_spool() -> None:
    heard: list[pb.Hello] = []

    async def script(talk: Conversation) -> None:
        heard.append(await talk.welcome())
        assert "authorization" not in talk.metadata

    spool = spool_of(3)
    spool.forget(1)
    async with playing(spool, script, for_ever):
        await until(lambda: heard)

    (hello,) = heard
    assert (hello.machine_id, hello.agent_version) == ("web-1", __version__)
    assert (hello.os, hello.kernel, hello.architecture) == ("Debian", "6.1.0", "x86_64")
    assert hello.boot_time_unix_ms == 1_000
    assert (hello.spool_epoch, hello.oldest_sequence) == (spool.epoch, 2)
    assert hello.interval_ms == 5_000
    assert abs(hello.clock_unix_ms - time.time() * 1000) < 60_000


async def test_a_live_sample_travels_alone_behind_its_layout() -> None:
    async def script(talk: Conversation) -> None:
        await talk.welcome()
        layout = (await talk.next("layout")).layout
        assert [metric.name for metric in layout.metrics] == ["system.temperature"]
        assert layout.metrics[0].kind == pb.KIND_GAUGE
        assert [dict(s.attributes) for s in layout.series] == [{"sensor": "top"}]
        for sequence in (1, 2):
            (one,) = (await talk.next("samples")).samples.samples
            assert (one.sequence, one.layout) == (sequence, layout.id)
            assert (one.time_unix_ms, one.values) == (1_700_000_000_000, bytes(4))
            await talk.ack(sequence)

    spool = spool_of(0)
    async with playing(spool, script, for_ever) as (_, client):
        for _ in range(2):
            spool.append(sample())
            client.wake()
            await until(lambda: not spool.oldest)


async def test_it_resumes_behind_the_cursor_and_forgets_the_rest() -> None:
    spool = spool_of(5)
    # In an earlier stream.
    spool.read(0, 3)

    async def script(talk: Conversation) -> None:
        await talk.welcome(cursor=3)
        assert await talk.sequences(2) == [4, 5]
        assert spool.oldest == 4
        await talk.ack(5)
        await talk.rest()

    async with playing(spool, script) as (hub, client):
        await until(lambda: not spool.oldest)
        client.leave()
        await hub.played()


async def test_what_was_evicted_is_passed_over() -> None:
    spool = MemorySpool(capacity_bytes=3 * (4 + 160))
    for _ in range(8):
        spool.append(sample())
        spool.read(0, 10)

    async def script(talk: Conversation) -> None:
        hello = await talk.welcome(cursor=2)
        assert hello.oldest_sequence == 6
        assert await talk.sequences(3) == [6, 7, 8]

    async with playing(spool, script, for_ever) as (hub, _):
        await until(lambda: hub.streams == 2)


async def test_no_more_is_under_way_than_the_window_allows() -> None:
    async def script(talk: Conversation) -> None:
        await talk.welcome(window=2)
        assert await talk.sequences(2) == [1, 2]
        more = asyncio.create_task(talk.sequences(1))
        await asyncio.sleep(0.2)
        assert not more.done()
        await talk.ack(1)
        assert await more == [3]
        await talk.ack(3)
        assert await talk.sequences(2) == [4, 5]

    async with playing(spool_of(5), script, for_ever) as (hub, _):
        await until(lambda: hub.streams == 2)


async def test_a_backlog_travels_in_bounded_batches() -> None:
    # 100 samples of 8 KiB, as large as samples get: 800 KiB.
    spool = spool_of(100, size=8_000)
    sizes: list[tuple[int, int]] = []

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        await talk.next("layout")
        while sum(count for count, _ in sizes) < 100:
            message = await talk.next("samples")
            sizes.append((len(message.samples.samples), message.ByteSize()))
        await talk.ack(100)
        await talk.rest()

    async with playing(spool, script) as (hub, client):
        await until(lambda: not spool.oldest)
        client.leave()
        await hub.played()

    assert [count for count, _ in sizes] == [32, 32, 32, 4]
    assert max(size for _, size in sizes) < stream.BATCH_BYTES + 1024


async def test_a_new_layout_is_sent_before_the_sample_that_needs_it() -> None:
    spool = spool_of(1)
    for layout in (TWO, ONE):
        spool.append(sample(layout))

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        first = (await talk.next("layout")).layout
        second = (await talk.next("layout")).layout
        assert (len(first.series), len(second.series)) == (1, 2)
        samples = (await talk.next("samples")).samples.samples
        assert [one.layout for one in samples] == [first.id, second.id, first.id]

    async with playing(spool, script, for_ever) as (hub, _):
        await until(lambda: hub.streams == 2)


async def test_layouts_without_end_take_no_memory_without_end() -> None:
    spool = spool_of(0)
    count = stream.MAX_LAYOUTS + 8
    # The first comes once more, when it has been forgotten.
    for number in (*range(count), 0):
        spool.append(sample(Layout((Series(HEAT, (("sensor", str(number)),)),))))

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        ids = [(await talk.next("layout")).layout.id for _ in range(count + 1)]
        assert len(set(ids)) == count + 1
        samples = (await talk.next("samples")).samples.samples
        assert [one.layout for one in samples] == ids

    async with playing(spool, script, for_ever) as (hub, _):
        await until(lambda: hub.streams == 2)


async def test_a_refusal_is_logged_once_and_the_rest_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spool = spool_of(3)

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        await talk.sequences(3)
        for sequence in (1, 2):
            refusal = pb.Refusal(
                sequence=sequence,
                reason=pb.REFUSAL_REASON_TIME_OUT_OF_RANGE,
                detail="Too old.",
            )
            await talk.context.write(pb.StreamAck(refusal=refusal))
        await talk.ack(3)

    async with playing(spool, script, for_ever) as (hub, _):
        await until(lambda: hub.streams == 2)

    assert not spool.oldest
    events = {r.message: r.__dict__["fields"] for r in caplog.records}
    assert [r.message for r in caplog.records].count("sample.refused") == 1
    assert events["sample.refused"]["detail"] == "Too old."
    assert events["hub.away"]["refused"] == 2


async def test_a_refusal_for_a_reason_of_a_newer_hub_ends_nothing() -> None:
    spool = spool_of(2)

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        await talk.sequences(2)
        # What is not known here comes as its number.
        newer = pb.Refusal.FromString(b"\x08\x01\x10\x4d")
        assert newer.reason not in pb.RefusalReason.values()
        await talk.context.write(pb.StreamAck(refusal=newer))
        await talk.ack(2)
        await until(lambda: not spool.oldest)

    async with playing(spool, script, for_ever) as (hub, _):
        await until(lambda: hub.streams == 2)

    assert not spool.oldest


async def test_what_was_not_acknowledged_is_sent_again() -> None:
    async def breaking(talk: Conversation) -> None:
        await talk.welcome()
        assert await talk.sequences(3) == [1, 2, 3]
        await talk.ack(1)
        await talk.context.abort(grpc.StatusCode.UNAVAILABLE, "the database is away")

    async def again(talk: Conversation) -> None:
        hello = await talk.welcome(cursor=1)
        assert hello.oldest_sequence == 2
        assert await talk.sequences(2) == [2, 3]

    async with playing(spool_of(3), breaking, again, for_ever) as (hub, _):
        await until(lambda: hub.streams == 3)


async def test_a_cursor_beyond_the_spool_begins_a_new_epoch(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spool = spool_of(2)
    epochs: list[bytes] = []

    async def ahead(talk: Conversation) -> None:
        epochs.append((await talk.welcome(cursor=50)).spool_epoch)
        assert await talk.rest() == []

    async def fresh(talk: Conversation) -> None:
        epochs.append((await talk.welcome()).spool_epoch)
        assert await talk.sequences(2) == [1, 2]

    async with playing(spool, ahead, fresh, for_ever) as (hub, _):
        await until(lambda: hub.streams == 3)

    assert epochs[0] != epochs[1] == spool.epoch
    assert "spool.behind_hub" in [record.message for record in caplog.records]


async def test_an_ack_of_what_was_never_sent_forgets_only_what_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spool = spool_of(2)

    async def script(talk: Conversation) -> None:
        await talk.welcome(window=1)
        assert await talk.sequences(1) == [1]
        await talk.ack(99)
        assert await talk.sequences(1) == [2]
        await talk.ack(99)
        await until(lambda: not spool.oldest)

    async with playing(spool, script, for_ever) as (hub, _):
        await until(lambda: hub.streams == 2)

    events = [record.message for record in caplog.records]
    assert events.count("ack.beyond_sent") == 1


class Seen:
    """A witness of what is written down here."""

    def __init__(self, *unasked: pb.ProcessSnapshot) -> None:
        self.left = list(unasked)

    def answer(self, asked: pb.ProcessesAsked) -> pb.ProcessSnapshot:
        return pb.ProcessSnapshot(
            request=asked.request, taken_unix_ms=asked.around_unix_ms
        )

    def unasked(self) -> pb.ProcessSnapshot | None:
        return self.left.pop() if self.left else None


async def test_processes_are_told_when_asked_and_unasked() -> None:
    heard: list[pb.ProcessSnapshot] = []

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        heard.append((await talk.next_of("processes")).processes)
        for request in (5, 6):
            asked = pb.ProcessesAsked(request=request, around_unix_ms=1_000 + request)
            await talk.context.write(pb.StreamAck(ask=asked))
            heard.append((await talk.next_of("processes")).processes)
        await talk.rest()

    spool, witness = spool_of(3), Seen(pb.ProcessSnapshot(taken_unix_ms=7))
    async with playing(spool, script, witness=witness):
        await until(lambda: len(heard) == 3)

    assert [(one.request, one.taken_unix_ms) for one in heard] == [
        (0, 7),
        (5, 1_005),
        (6, 1_006),
    ]


async def test_questions_without_end_take_no_memory_without_end() -> None:
    heard: list[int] = []
    count = 50

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        for request in range(1, count + 1):
            asked = pb.ProcessesAsked(request=request)
            await talk.context.write(pb.StreamAck(ask=asked))
        while heard[-1:] != [count]:
            heard.append((await talk.next_of("processes")).processes.request)
        await talk.rest()

    async with playing(spool_of(0), script, witness=Seen()):
        await until(lambda: heard[-1:] == [count])

    assert heard == sorted(heard)


async def test_an_agent_without_a_witness_does_not_mind_the_question() -> None:
    async def script(talk: Conversation) -> None:
        await talk.welcome()
        await talk.context.write(pb.StreamAck(ask=pb.ProcessesAsked(request=1)))
        assert await talk.sequences(1) == [1]

    async with playing(spool_of(1), script, for_ever) as (hub, _):
        await until(lambda: hub.streams == 2)
