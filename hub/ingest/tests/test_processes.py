"""Snapshots of processes as a hub takes them in; no network, no database."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

from hub.events.event import PROCESSES_SEEN
from hub.events.memory import MemoryBus
from hub.ingest.allowance import Allowance
from hub.ingest.announce import Announcer
from hub.ingest.asking import Question, event, question
from hub.ingest.decode import Source
from hub.ingest.processes import BadSnapshot, Sightings, snapshot
from hub.ingest.stream import Stream
from hub.ingest.tests.wire import now_ms
from hub.storage.hot_memory import MemoryHot
from hub.testing.patience import PATIENCE_S

NOON_MS = 1_772_366_400_000


def entry(pid: int = 7, **said: Any) -> pb.ProcessEntry:
    fields: dict[str, Any] = {"name": "stress", "user": "root", "cpu": 3.5}
    return pb.ProcessEntry(pid=pid, **fields | said)


def message(*entries: pb.ProcessEntry, **said: Any) -> pb.ProcessSnapshot:
    fields: dict[str, Any] = {"taken_unix_ms": NOON_MS, "span_ms": 2_000}
    return pb.ProcessSnapshot(entries=entries, **fields | said)


def test_what_an_agent_tells_is_kept_on_the_hubs_clock() -> None:
    told = message(
        entry(
            command="stress --cpu 4",
            started_unix_ms=NOON_MS - 60_000,
            memory_bytes=4096,
            memory=0.25,
            read_bytes_per_s=0,
        )
    )

    found = snapshot(told, 3, skew_ms=10_000, now_ms=NOON_MS)

    assert found is not None
    assert (found.machine, found.taken_ms) == (3, NOON_MS - 10_000)
    assert found.span_ms == 2_000
    [one] = found.entries
    assert (one.pid, one.name, one.user, one.cpu) == (7, "stress", "root", 3.5)
    assert one.command == "stress --cpu 4"
    assert one.started_ms == NOON_MS - 70_000
    assert (one.memory_bytes, one.memory) == (4096, 0.25)
    # Nothing read is known, and nothing is known of what was written.
    assert (one.read, one.write) == (0, None)


def test_an_agent_may_have_nothing() -> None:
    assert snapshot(pb.ProcessSnapshot(), 3, skew_ms=0, now_ms=NOON_MS) is None


def test_text_is_cleaned_and_cut() -> None:
    told = message(entry(name="a\0\u202eb", user="u" * 500, command="<b>" * 500))

    found = snapshot(told, 3, skew_ms=0, now_ms=NOON_MS)

    assert found is not None
    [one] = found.entries
    assert one.name == "a\\x00\\u202eb"
    assert len(one.user) == limits.MAX_TEXT_BYTES
    assert len(one.command) == limits.MAX_COMMAND_BYTES


@pytest.mark.parametrize(
    "bad",
    [
        message(*(entry(pid) for pid in range(1, 32))),
        message(entry(7), entry(7)),
        message(entry(0)),
        message(entry(cpu=math.nan)),
        message(entry(cpu=math.inf)),
        message(entry(cpu=-0.5)),
        message(entry(cpu=1e9)),
        message(entry(memory=1.5)),
        message(entry(memory_bytes=2**60)),
        message(entry(write_bytes_per_s=-1)),
        message(entry(read_bytes_per_s=math.nan)),
        message(entry(), span_ms=2**31),
        message(entry(), taken_unix_ms=NOON_MS - 16 * 60_000),
        message(entry(), taken_unix_ms=NOON_MS + 6 * 60_000),
        message(entry(), taken_unix_ms=-1),
        message(entry(), taken_unix_ms=2**63 - 1),
    ],
)
def test_garbage_is_refused_in_a_sentence(bad: pb.ProcessSnapshot) -> None:
    with pytest.raises(BadSnapshot, match=r"^[A-Z].*\.$"):
        snapshot(bad, 3, skew_ms=0, now_ms=NOON_MS)


def test_an_unlikely_start_is_no_start() -> None:
    told = message(entry(started_unix_ms=2**62))

    found = snapshot(told, 3, skew_ms=0, now_ms=NOON_MS)

    assert found is not None
    assert found.entries[0].started_ms is None


class Peer:
    """All that a stream needs of its call here."""

    def peer(self) -> str:
        return "ipv4:192.0.2.7:1"


async def test_what_is_kept_is_told_and_what_is_bad_is_dropped() -> None:
    hot, bus = MemoryHot(), MemoryBus()
    sightings = Sightings(hot, Announcer(hot, bus))
    stream = Stream(Peer())  # type: ignore[arg-type]
    stream.source = Source(3, b"")
    running = asyncio.create_task(sightings.run())
    at_ms = now_ms()

    async with bus.subscribe(PROCESSES_SEEN) as events:
        sightings.offer(stream, message(entry(0), taken_unix_ms=at_ms), at_ms)
        sightings.offer(stream, pb.ProcessSnapshot(request=5), at_ms)
        good = message(entry(), taken_unix_ms=at_ms, request=6)
        sightings.offer(stream, good, at_ms)
        told = await asyncio.wait_for(anext(events), PATIENCE_S)

    running.cancel()
    await sightings.close()
    assert orjson.loads(told.payload) == {"pk": 3, "taken_ms": at_ms, "request": 6}
    [kept] = await sync_to_async(hot.processes)(3)
    assert kept.entries[0].name == "stress"
    assert sightings.dropped == 1


async def test_a_stream_that_sends_too_many_is_not_listened_to() -> None:
    hot = MemoryHot()
    sightings = Sightings(hot, Announcer(hot, MemoryBus()))
    stream = Stream(Peer())  # type: ignore[arg-type]

    for _ in range(100):
        sightings.offer(stream, message(entry(0)), NOON_MS)

    await sightings.close()
    assert sightings.dropped == 100
    assert not stream.snapshots.allow()


def test_an_allowance_is_spent_and_earned_again() -> None:
    now_s = 100.0
    allowance = Allowance(2, 5, lambda: now_s)

    assert [allowance.allow() for _ in range(3)] == [True, True, False]
    now_s += 5
    assert [allowance.allow() for _ in range(2)] == [True, False]
    now_s += 1_000
    assert [allowance.allow() for _ in range(3)] == [True, True, False]


def test_a_question_travels_as_an_event() -> None:
    asked = Question(machine=3, around_ms=NOON_MS, request=17)

    assert question(event(asked).payload) == asked


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"machine": 3, "around_ms": 5}',
        b'{"machine": 3, "around_ms": 5, "request": 0}',
        b'{"machine": "3", "around_ms": 5, "request": 1}',
        b'{"machine": true, "around_ms": 5, "request": 1}',
        b'{"machine": 3, "around_ms": 1.5, "request": 1}',
        b'{"machine": 3, "around_ms": 9999999999999999999, "request": 1}',
    ],
)
def test_a_garbled_question_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"(?i)question|document"):
        question(payload)
