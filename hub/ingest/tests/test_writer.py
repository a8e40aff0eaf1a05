from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from django.db import DataError, ProgrammingError
from sysmonstm_proto import metrics_pb2 as pb

from hub.events.event import METRICS_RAW, BusDown, Event
from hub.events.memory import MemoryBus
from hub.ingest.acks import Acks
from hub.ingest.announce import Announcer
from hub.ingest.decode import Refused, Source
from hub.ingest.isolate import Isolator, Outcome
from hub.ingest.tests.wire import EPOCH, now_ms, vector
from hub.ingest.writer import Chunk, Writer
from hub.storage.hot import HotDown
from hub.storage.hot_memory import MemoryHot
from hub.storage.raw import DatabaseDown, Incoming, RefusedAt, Written
from hub.storage.sample import StoredSample, unpack
from hub.testing.patience import PATIENCE_S


class Database:
    """Takes what `raw.write` takes; can be told to be away or picky."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.settled: list[int] = []
        self.buried: list[int] = []
        self.tried: list[list[int]] = []
        self.threads: set[str] = set()
        self.fails: list[Exception] = []
        self.poison: set[int] = set()
        self.gone: set[int] = set()
        self.open = threading.Event()
        self.open.set()

    def write(
        self, batch: Sequence[Incoming], refused: Sequence[RefusedAt] = ()
    ) -> Written:
        self.settled += [item.sequence for item in refused]
        self.tried.append([incoming.sample.sequence for incoming in batch])
        self.threads.add(threading.current_thread().name)
        assert self.open.wait(10)
        if self.fails:
            raise self.fails.pop(0)
        numbers = [incoming.sample.sequence for incoming in batch]
        if self.poison & set(numbers):
            raise DataError("cannot keep that")
        if not batch:
            return Written()
        self.batches.append(numbers)
        kept = [i.sample for i in batch if i.sample.machine not in self.gone]
        return Written(stored=kept, gone=set(self.gone))

    def bury(self, incoming: Incoming, reason: str) -> None:
        assert reason == "cannot keep that"
        self.buried.append(incoming.sample.sequence)

    @property
    def stored(self) -> list[int]:
        return [number for batch in self.batches for number in batch]


class BrokenHot(MemoryHot):
    def put(self, samples: Sequence[StoredSample]) -> None:
        raise HotDown("away")


class BrokenBus(MemoryBus):
    async def publish(self, event: Event) -> None:
        raise BusDown("away")


class SilentBus(MemoryBus):
    async def publish(self, event: Event) -> None:
        await asyncio.sleep(3600)


@asynccontextmanager
async def writing(
    database: Database, announcer: Announcer | None = None, **limits: float
) -> AsyncIterator[Writer]:
    async def at_once(seconds: float) -> None:
        await asyncio.sleep(0)

    writer = Writer(
        database.write,
        announcer or Announcer(MemoryHot(), MemoryBus()),
        bury=database.bury,
        sleep=at_once,
        **limits,  # type: ignore[arg-type]
    )
    writer.start()
    try:
        yield writer
    finally:
        database.open.set()
        await writer.close()


def chunk(acks: Acks, *sequences: int, machine: int = 1) -> Chunk:
    taken = [
        Incoming(StoredSample(machine, 1, n, now_ms(), now_ms(), vector(n)), EPOCH)
        for n in sequences
    ]
    return Chunk(acks, Source(machine, EPOCH), taken, max(sequences))


async def test_what_comes_together_is_one_transaction_in_one_thread() -> None:
    database = Database()
    one, two = Acks(), Acks()

    async with writing(database) as writer:
        writer.offer(chunk(one, 1, 2))
        writer.offer(chunk(two, 3))
        await writer.drain()
        writer.offer(chunk(one, 4))
        await writer.drain()

    assert database.batches == [[1, 2, 3], [4]]
    assert database.threads == {"writer-0"}
    assert (one.committed, two.committed) == (4, 3)


async def test_where_many_send_a_transaction_waits_for_more_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hub.ingest.gathering.LONGER", ((8, 1.5),))
    database = Database()

    async with writing(database) as writer:
        for machine in range(80):
            writer.offer(chunk(Acks(), 1, machine=machine))
        await writer.drain()
        writer.offer(chunk(Acks(), 2, machine=1))
        # Long after a writer with less to do would have begun.
        await asyncio.sleep(0.12)
        writer.offer(chunk(Acks(), 3, machine=2))
        await writer.drain()

    assert database.batches == [[1] * 80, [2, 3]]


async def test_nothing_is_acknowledged_before_the_commit() -> None:
    database, acks = Database(), Acks()
    database.open.clear()

    async with writing(database, gather_s=0) as writer:
        writer.offer(chunk(acks, 1))
        await asyncio.sleep(0.1)
        assert acks.committed == 0
        database.open.set()
        await writer.drain()

    assert acks.committed == 1


async def test_a_full_queue_makes_who_comes_wait() -> None:
    database, acks = Database(), Acks()
    database.open.clear()

    async with writing(database, queue_limit=2, gather_s=0) as writer:
        writer.offer(chunk(acks, 1, 2))
        late = asyncio.create_task(writer.room())
        await asyncio.sleep(0.05)
        assert writer.full
        assert not late.done()
        database.open.set()
        assert await late
        await writer.drain()

    assert database.stored == [1, 2]


async def test_refusals_alone_take_room_in_the_queue_too() -> None:
    database, acks = Database(), Acks()
    database.open.clear()

    async with writing(database, queue_limit=3, gather_s=0) as writer:
        writer.offer(chunk(acks, 1))
        for sequence in (2, 3):
            writer.offer(Chunk(acks, Source(1, EPOCH), [], sequence))
        assert writer.full
        database.open.set()
        await writer.drain()
        assert writer.stats.waiting == 0

    assert acks.committed == 3


async def test_a_database_that_is_away_is_asked_until_it_answers() -> None:
    database, acks = Database(), Acks()
    database.fails = [DatabaseDown("away")] * 5

    async with writing(database) as writer:
        writer.offer(chunk(acks, 1, 2))
        await writer.drain()

    assert database.stored == [1, 2]
    assert acks.committed == 2
    assert not writer.stats.failing


async def test_a_fault_of_the_hub_costs_no_sample() -> None:
    database, acks = Database(), Acks()
    database.fails = [ProgrammingError("no such table"), OSError("no space left")]

    async with writing(database) as writer:
        writer.offer(chunk(acks, 1, 2))
        await writer.drain()

    assert database.stored == [1, 2]
    assert writer.stats.refused == 0
    assert database.buried == []


async def test_samples_that_cannot_be_stored_are_buried_alone() -> None:
    database, acks = Database(), Acks()
    database.poison = {3, 7}

    async with writing(database) as writer:
        writer.offer(chunk(acks, *range(1, 9)))
        await writer.drain()
        writer.offer(chunk(acks, 9))
        await writer.drain()

    assert database.stored == [1, 2, 4, 5, 6, 8, 9]
    assert database.buried == [3, 7]
    assert acks.committed == 9
    assert list(acks._refusals) == [
        Refused(n, pb.REFUSAL_REASON_UNSPECIFIED, "The hub's database refused it.")
        for n in (3, 7)
    ]


def test_a_sample_alone_is_tried_three_times_before_it_is_buried() -> None:
    database, outcome, pauses = Database(), Outcome(), list[float]()
    database.poison = {2}

    isolator = Isolator(database.write, database.bury, sleep=pauses.append)
    isolator.store(chunk(Acks(), 1, 2, 3).taken, outcome)

    assert database.tried.count([2]) == 3
    assert database.buried == [2]
    assert database.stored == [1, 3]


def test_a_batch_of_nothing_but_poison_holds_nobody_up_for_long() -> None:
    database, outcome, pauses = Database(), Outcome(), list[float]()
    database.poison = set(range(1, 1001))

    isolator = Isolator(database.write, database.bury, sleep=pauses.append)
    isolator.store(chunk(Acks(), *range(1, 1001)).taken, outcome)

    assert len(database.buried) == 1000
    assert sum(pauses) < 4


def test_a_refused_number_is_settled_before_what_follows_it() -> None:
    database, outcome = Database(), Outcome()
    database.poison = {3}
    [one, three] = chunk(Acks(), 1, 3).taken

    isolator = Isolator(database.write, database.bury, sleep=lambda seconds: None)
    isolator.store([one, RefusedAt(1, EPOCH, 2), three], outcome)

    assert (database.stored, database.settled[-1]) == ([1], 2)


async def test_refusals_are_settled_with_the_samples_beside_them() -> None:
    database, acks = Database(), Acks()
    taken = chunk(acks, 1, 3).taken
    refused = [RefusedAt(1, EPOCH, 2)]

    async with writing(database) as writer:
        writer.offer(Chunk(acks, Source(1, EPOCH), taken, 3, refused))
        await writer.drain()

    assert (database.stored, database.settled) == ([1, 3], [2])


async def test_a_slow_commit_is_shown_before_it_is_done_and_told_once() -> None:
    database, acks, bus = Database(), Acks(), MemoryBus()
    database.open.clear()

    async with (
        bus.subscribe(METRICS_RAW) as events,
        writing(database, Announcer(MemoryHot(), bus), away_s=0.05) as writer,
    ):
        writer.offer(chunk(acks, 1))
        await asyncio.sleep(0.2)
        writer.offer(chunk(acks, 2))
        shown = [unpack((await anext(events)).payload) for _ in range(2)]
        assert (writer.away, acks.committed) == (True, 0)
        database.open.set()
        await writer.drain()
        writer.offer(chunk(acks, 3))
        await writer.drain()
        after = unpack((await anext(events)).payload)

    assert [[s.sequence for s in batch] for batch in shown] == [[1], [2]]
    assert [s.sequence for s in after] == [3]
    assert database.stored == [1, 2, 3]
    assert not writer.away


async def test_samples_of_a_removed_machine_are_not_acknowledged() -> None:
    database, removed, other = Database(), Acks(), Acks()
    database.gone = {1}

    async with writing(database) as writer:
        writer.offer(chunk(removed, 1, machine=1))
        writer.offer(chunk(other, 1, machine=2))
        await writer.drain()

    assert (removed.committed, other.committed) == (0, 1)
    assert removed._machine_gone


async def test_a_committed_batch_becomes_hot_and_one_event() -> None:
    hot, bus = MemoryHot(), MemoryBus()
    announcer = Announcer(hot, bus)

    async with (
        bus.subscribe(METRICS_RAW) as events,
        writing(Database(), announcer) as writer,
    ):
        writer.offer(chunk(Acks(), 1, 2))
        await writer.drain()
        event = await anext(events)

    assert [sample.sequence for sample in unpack(event.payload)] == [1, 2]
    assert hot.latest()[1].sequence == 2


@pytest.mark.parametrize("bus", [BrokenBus(), SilentBus()])
async def test_trouble_with_redis_delays_no_acknowledgement(bus: MemoryBus) -> None:
    acks = Acks()
    announcer = Announcer(BrokenHot(), bus)

    async with writing(Database(), announcer, gather_s=0) as writer:
        async with asyncio.timeout(PATIENCE_S):
            for sequence in range(1, 20):
                writer.offer(chunk(acks, sequence))
                await writer.drain()

    assert acks.committed == 19


async def test_while_the_bus_is_away_it_is_not_asked_for_each_batch() -> None:
    announcer = Announcer(MemoryHot(), BrokenBus())

    async with writing(Database(), announcer, gather_s=0) as writer:
        for sequence in range(1, 11):
            writer.offer(chunk(Acks(), sequence))
            await writer.drain()
        await announcer.drain()

    assert announcer.untold == 10


async def test_what_cannot_be_told_in_time_is_dropped_oldest_first() -> None:
    bus, hot = MemoryBus(), MemoryHot()
    announcer = Announcer(hot, bus, queue_limit=3)
    taken = chunk(Acks(), 1, 2, 3, 4).taken

    for incoming in taken:
        announcer.offer([incoming.sample])
    telling = asyncio.create_task(announcer.run())
    await announcer.drain()
    telling.cancel()
    await announcer.close()

    assert announcer.untold == 1
    assert [sample.sequence for sample in hot.recent(1)] == [2, 3, 4]


async def test_closing_does_not_wait_for_a_database_that_hangs() -> None:
    database, acks = Database(), Acks()
    database.open.clear()

    async with writing(database, gather_s=0) as writer:
        writer.offer(chunk(acks, 1))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(PATIENCE_S):
            await writer.close()

    assert acks.committed == 0
