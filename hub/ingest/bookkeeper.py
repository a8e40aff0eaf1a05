"""The books beside the samples: agents' reports, late stretches, the hub's heartbeat.

Off the hot path: what is noted between two turns is written at once for all
machines, by a thread of its own. What cannot be written waits, one entry for each
machine; a hub that dies between two turns loses marks on a chart, never a sample.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from sysmonstm_proto import metrics_pb2 as pb

from hub.ingest import text
from hub.ingest.decode import MAX_SEQUENCE
from hub.ingest.isolate import HUB_FAULTS, Outcome
from hub.ingest.stream import Stream
from hub.ingest.workers import Workers
from hub.ingest.writer import Chunk
from hub.log import get_logger
from hub.storage import away, backfill, reports
from hub.storage.away import BEAT_S
from hub.storage.backfill import Stretch
from hub.storage.reports import Report

log = get_logger(__name__)

DEGRADED_BYTES = 256

# Of all machines together; a stretch beyond is not marked.
MAX_STRETCHES = 20_000


class Bookkeeper:
    """Takes notes in the event loop, writes them every ten seconds."""

    def __init__(self, *, every_s: float = BEAT_S) -> None:
        self._every_s = every_s
        self._reports: dict[int, tuple[Stream, Report]] = {}
        self._late: dict[int, Stretch] = {}
        self._workers = Workers("bookkeeper")
        self._is_down = False

    def report(self, stream: Stream, account: pb.Account, *, reached: int) -> None:
        """Take an agent's account; `reached` is the last number that came."""
        source = stream.source
        produced = min(account.produced, MAX_SEQUENCE)
        report = Report(
            machine_id=source.machine,
            spool_epoch=source.epoch,
            produced=produced,
            evicted=min(account.evicted, MAX_SEQUENCE),
            oldest_sequence=min(account.oldest_sequence, MAX_SEQUENCE),
            spool_bytes=min(account.spool_bytes, MAX_SEQUENCE),
            lost=min(account.lost, MAX_SEQUENCE),
            behind=max(0, reached - produced),
            degraded=text.plain(account.degraded, limit_bytes=DEGRADED_BYTES),
            received=datetime.now(UTC),
            clock_skew_ms=stream.clock_skew_ms,
        )
        self._reports[source.machine] = stream, report

    def committed(self, chunks: list[Chunk], outcome: Outcome) -> None:
        """Note how long streams waited, and what came late."""
        now_ms = time.time_ns() // 1_000_000
        limits: dict[int, int] = {}
        for chunk in chunks:
            if not chunk.taken:
                continue
            sample, source = chunk.taken[0].sample, chunk.source
            chunk.acks.waits_ms.append(now_ms - sample.received_ms)
            if sample.received_ms - sample.time_ms > source.late_ms:
                limits[source.machine] = source.late_ms
        if limits:
            self._note_late(outcome, limits)

    async def run(self) -> None:
        """Write what was noted, again and again, until cancelled."""
        while True:
            await self.write()
            await asyncio.sleep(self._every_s)

    async def write(self) -> None:
        """Write what was noted, and the heartbeat."""
        noted, self._reports = self._reports, {}
        late, self._late = self._late, {}
        for stream, report in noted.values():
            report.ack_p50_ms, report.ack_p99_ms = stream.acks.latency_ms()
        try:
            await self._workers.call(
                _write, [report for _, report in noted.values()], list(late.values())
            )
        except HUB_FAULTS as fault:
            self._reports = noted | self._reports
            self._add(late.values())
            if not self._is_down:
                log.warning("books.unwritten", error=repr(fault))
            self._is_down = True
        except Exception:
            # The loop must live; what the database refuses is given up.
            log.exception("books.refused", reports=len(noted), stretches=len(late))
        else:
            self._is_down = False

    async def close(self) -> None:
        """Write for the last time; does not wait for a database that hangs."""
        try:
            async with asyncio.timeout(1):
                await self.write()
        except TimeoutError:
            log.warning("books.unwritten", error="The database does not answer.")
        await self._workers.close()

    def _note_late(self, outcome: Outcome, limits: dict[int, int]) -> None:
        for sample in outcome.stored:
            limit_ms = limits.get(sample.machine)
            if limit_ms is None or sample.received_ms - sample.time_ms <= limit_ms:
                continue
            at = datetime.fromtimestamp(sample.time_ms / 1000, UTC)
            received = datetime.fromtimestamp(sample.received_ms / 1000, UTC)
            self._add([Stretch(sample.machine, at, at, received)])

    def _add(self, stretches: Iterable[Stretch]) -> None:
        for new in stretches:
            old = self._late.get(new.machine)
            if old is not None:
                # Within ten seconds an agent sends one stretch of its spool.
                new = Stretch(
                    new.machine,
                    min(old.start, new.start),
                    max(old.end, new.end),
                    max(old.received, new.received),
                )
            elif len(self._late) >= MAX_STRETCHES:
                continue
            self._late[new.machine] = new


def _write(noted: list[Report], late: list[Stretch]) -> None:
    pause = away.beat()
    if pause is not None:
        log.warning("hub.was_away", start=str(pause.start), end=str(pause.end))
    if noted:
        reports.save(noted)
    if late:
        backfill.note(late)
