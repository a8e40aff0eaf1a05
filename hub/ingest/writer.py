"""Batches become durable, then acknowledged: a group commit in one thread.

    streams ──offer──▶ queue ──gather──▶ one transaction ──COMMIT──▶ acks
                                                              └─▶ announcer

First in, first out, by one thread: a machine's samples reach its cursor in order.
The queue is bounded in samples; who finds it full waits for `room` and does not
read, so that HTTP/2 flow control reaches the agent.

A transaction that takes longer than people like to wait for the live view makes the
database `away`: samples are shown as they come, and nobody waits for room any more.
Whoever finds none drops what it has: it was not acknowledged, so the agent keeps it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from sysmonstm_proto import metrics_pb2 as pb

from hub import metrics
from hub.events.ending import end
from hub.events.patience import waits
from hub.ingest.acks import Acks
from hub.ingest.announce import Announcer
from hub.ingest.decode import Refused, Source
from hub.ingest.gathering import GATHER_S, Gathering
from hub.ingest.isolate import (
    HUB_FAULTS,
    Bury,
    Isolator,
    Item,
    Outcome,
    Write,
    tell,
)
from hub.ingest.workers import Workers
from hub.log import get_logger
from hub.storage import dead_letters
from hub.storage.raw import DatabaseDown, Incoming, RefusedAt
from hub.storage.settle import in_order

log = get_logger(__name__)

# Samples that wait for COMMIT: some minutes of a hundred machines, 10 MB at 60
# series. Beyond this nothing is read.
QUEUE_LIMIT = 20_000

# Samples in one transaction: long enough to pay for COMMIT, short enough that
# the first of them does not wait for the last.
BATCH_LIMIT = 5_000

# The database is away when a batch has not been committed by then.
AWAY_S = 1.0

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


@dataclass(slots=True, eq=False)
class Chunk:
    """What one message brought. Once it is settled, all up to `up_to` is done."""

    acks: Acks
    source: Source
    taken: list[Incoming]
    up_to: int
    refused: list[RefusedAt] = field(default_factory=list)

    @property
    def items(self) -> Iterable[Item]:
        return in_order(self.taken, self.refused) if self.refused else self.taken

    @property
    def weight(self) -> int:
        """Its part of the queue's limit: one of refusals alone takes room too."""
        return len(self.taken) or 1


@dataclass(slots=True)
class Stats:
    """For `/ready` and the log; counts since the start."""

    waiting: int = 0
    stored: int = 0
    duplicates: int = 0
    refused: int = 0
    batches: int = 0
    failing: bool = False
    commit_s: float = 0.0


Committed = Callable[[list[Chunk], Outcome], None]


class Writer:
    """The one way of samples into the database. Lives in one event loop."""

    def __init__(
        self,
        write: Write,
        announcer: Announcer,
        *,
        bury: Bury = dead_letters.bury,
        committed: Committed = lambda chunks, outcome: None,
        came_back: Callable[[], None] = lambda: None,
        queue_limit: int = QUEUE_LIMIT,
        batch_limit: int = BATCH_LIMIT,
        gather_s: float = GATHER_S,
        away_s: float = AWAY_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._isolator = Isolator(write, bury)
        self._announcer = announcer
        self._committed, self._back = committed, came_back
        self._queue_limit, self._batch_limit = queue_limit, batch_limit
        self._gathering = Gathering(gather_s)
        self._away_s, self._sleep = away_s, sleep
        self._chunks: deque[Chunk] = deque()
        self._wake = asyncio.Event()
        self._enough = asyncio.Event()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._workers = Workers("writer")
        self._tasks: list[asyncio.Task[None]] = []
        self.away = False
        self.stats = Stats()

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._run(), name="writer"),
            asyncio.create_task(self._announcer.run(), name="announcer"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._died)

    @property
    def full(self) -> bool:
        return self.stats.waiting >= self._queue_limit

    def offer(self, chunk: Chunk) -> None:
        """Queue a chunk at once. The caller has seen that it is not `full`."""
        self._chunks.append(chunk)
        self.stats.waiting += chunk.weight
        self._idle.clear()
        self._wake.set()
        if self.stats.waiting >= self._batch_limit:
            self._enough.set()
        if self.away:
            self._announcer.show(chunk.taken)

    def show(self, taken: list[Incoming]) -> None:
        """Let people see samples that are not to be stored now."""
        self._announcer.show(taken)

    async def room(self) -> bool:
        """Wait while the queue is full; False: no use, the database is away."""
        while self.full:
            if self.away:
                return False
            self._room.clear()
            await self._room.wait()
        return True

    async def drain(self) -> None:
        """Wait until everything queued is committed and acknowledged."""
        await self._idle.wait()

    async def close(self) -> None:
        """Stop. What is still queued was not acknowledged: agents keep it."""
        await end(self._tasks)
        if not await self._workers.close():
            log.warning("writer.abandoned", samples=self.stats.waiting)
        await self._announcer.close()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await self._gather()
            await self._commit(self._take())
            if not self._chunks:
                self._wake.clear()
                self._idle.set()

    async def _gather(self) -> None:
        """Let others join the transaction, unless it is big enough already."""
        if self.stats.waiting >= self._batch_limit:
            return
        self._enough.clear()
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._gathering.wait_s, self._enough.set)
        await self._enough.wait()
        timer.cancel()

    def _take(self) -> list[Chunk]:
        taken: list[Chunk] = []
        samples = 0
        while self._chunks and samples < self._batch_limit:
            chunk = self._chunks.popleft()
            samples += chunk.weight
            taken.append(chunk)
        self._gathering.took(len({chunk.source.machine for chunk in taken}))
        return taken

    async def _commit(self, chunks: list[Chunk]) -> None:
        patience = asyncio.get_running_loop().call_later(
            self._away_s, self._lose_patience, chunks
        )
        try:
            outcome = await self._stored([i for c in chunks for i in c.items])
        finally:
            patience.cancel()
        if outcome.buried:
            _refuse(chunks, outcome)
        for chunk in chunks:
            if outcome.gone and chunk.source.machine in outcome.gone:
                chunk.acks.machine_gone()
            else:
                chunk.acks.commit(chunk.up_to)
        self._announcer.offer(outcome.stored)
        self._committed(chunks, outcome)
        self._count(chunks, outcome)
        if self.away:
            self.away = False
            log.info("database.back", waiting=self.stats.waiting)
            self._back()

    async def _stored(self, items: list[Item]) -> Outcome:
        """Try until the database has taken or refused each sample."""
        outcome, tries = Outcome(), 0
        pauses = waits(first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)
        while True:
            began = time.perf_counter()
            try:
                await self._workers.call(self._isolator.store, items, outcome)
            except HUB_FAULTS as fault:
                tries += 1
                self._failing(fault, len(items))
                await self._sleep(next(pauses))
            else:
                self.stats.commit_s = time.perf_counter() - began
                metrics.COMMIT.observe(self.stats.commit_s)
                if self.stats.failing:
                    self.stats.failing = False
                    log.info("writer.back", tries=tries, samples=len(items))
                return outcome

    def _lose_patience(self, chunks: list[Chunk]) -> None:
        """Show what waits, and let those go on who wait for room."""
        self.away = True
        log.warning("database.away", waiting=self.stats.waiting)
        for chunk in (*chunks, *self._chunks):
            self._announcer.show(chunk.taken)
        self._room.set()

    def _died(self, task: asyncio.Task[None]) -> None:
        """Neither task may end by itself; without the writer nothing is acked."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.stats.failing = True
            log.critical(f"{task.get_name()}.died", exc_info=error)

    def _failing(self, fault: Exception, samples: int) -> None:
        if self.stats.failing:
            return
        self.stats.failing = True
        # Away comes back by itself; the rest needs a person.
        say = log.warning if isinstance(fault, DatabaseDown) else log.error
        say("writer.waits", error=repr(fault), samples=samples)

    def _count(self, chunks: list[Chunk], outcome: Outcome) -> None:
        _measure(chunks)
        self.stats.waiting -= sum(chunk.weight for chunk in chunks)
        self.stats.stored += len(outcome.stored)
        self.stats.duplicates += outcome.duplicates
        self.stats.refused += len(outcome.buried)
        self.stats.batches += 1
        if self.stats.waiting <= self._queue_limit // 2:
            self._room.set()


def _measure(chunks: list[Chunk]) -> None:
    metrics.BATCH.observe(sum(len(chunk.taken) for chunk in chunks))
    # The queue is first in, first out: the first one has waited longest.
    first = next((chunk.taken[0].sample for chunk in chunks if chunk.taken), None)
    if first is not None:
        metrics.ACK.observe(max(0.0, time.time() - first.received_ms / 1000))


def _refuse(chunks: list[Chunk], outcome: Outcome) -> None:
    """Tell the streams what will not be stored unless a person tries again."""
    whose = {id(i): chunk for chunk in chunks for i in chunk.taken}
    for incoming, _ in outcome.buried:
        whose[id(incoming)].acks.refuse(
            [
                Refused(
                    incoming.sample.sequence,
                    pb.REFUSAL_REASON_UNSPECIFIED,
                    "The hub's database refused it.",
                )
            ]
        )
    tell(outcome)
