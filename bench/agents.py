"""Simulated agents: each on a line of its own, speaking the real wire.

An agent sends in order, never more than a window ahead of the acknowledgements, and
when its line breaks it resumes where the hub says.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.limits import DEFAULT_WINDOW

from bench.line import Broken, Line, connect

STREAM_METRICS = "/sysmonstm.v1.MetricsService/StreamMetrics"

# The hub takes 2,000 from one address: fewer than that call from each of ours.
AGENTS_PER_ADDRESS = 1_000
PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent."""

    machines: int
    series: int
    samples: int
    # Samples in one message; and seconds between messages, 0 = at once.
    per_message: int
    interval_s: float


@dataclass(slots=True)
class Agent:
    number: int
    load: Load
    start_ms: int
    epoch: bytes = field(default_factory=lambda: os.urandom(16))
    sent_at: dict[int, float] = field(default_factory=dict)
    waits_ms: list[float] = field(default_factory=list)
    acked: int = 0
    breaks: int = 0
    # When its first sample is due; 0 = nobody has begun.
    begins_at: float = 0
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, port: int, gate: asyncio.Barrier) -> None:
        """Connect; send until all is acknowledged; leave.

        At the gate it waits for the others: before it sends, when all is sent, and
        before it leaves.
        """
        prepared = list(self.messages())
        while self.acked < self.load.samples:
            try:
                await self._converse(port, gate, prepared)
            except (Broken, OSError):
                self.breaks += 1
                await asyncio.sleep(random.uniform(0, PAUSE_S))

    async def _converse(
        self, port: int, gate: asyncio.Barrier, prepared: Sequence[tuple[int, bytes]]
    ) -> None:
        address = f"127.0.1.{1 + self.number // AGENTS_PER_ADDRESS}"
        line = await connect(port, STREAM_METRICS, address=address)
        try:
            line.send(self._hello())
            line.send(layout(self.load.series))
            said = pb.StreamAck.FromString(await line.receive())
            self.acked = said.welcome.committed_sequence
            if not self.begins_at:
                await gate.wait()
                # Machines tick at moments of their own.
                share = self.number / self.load.machines
                self.begins_at = time.perf_counter() + self.load.interval_s * share
            async with asyncio.TaskGroup() as group:
                hearing = group.create_task(self._hear(line))
                group.create_task(self._send(line, prepared, hearing))
            await gate.wait()
            await gate.wait()
        except* (Broken, OSError) as group_:
            raise Broken from group_
        finally:
            line.close()

    async def _send(
        self,
        line: Line,
        prepared: Sequence[tuple[int, bytes]],
        hearing: asyncio.Task[None],
    ) -> None:
        interval_s = self.load.interval_s
        for turn, (last, message) in enumerate(prepared):
            if last <= self.acked:
                continue
            if interval_s:
                due = self.begins_at + turn * interval_s
                await asyncio.sleep(due - time.perf_counter())
            while last - self.acked > DEFAULT_WINDOW:
                self.moved.clear()
                await self.moved.wait()
            if hearing.done():
                return
            self.sent_at.setdefault(last, time.perf_counter())
            line.send(message)

    async def _hear(self, line: Line) -> None:
        while self.acked < self.load.samples:
            said = pb.StreamAck.FromString(await line.receive())
            now = time.perf_counter()
            if said.HasField("refusal"):
                raise SystemExit(f"bench: the hub said {said}")
            self.acked = max(self.acked, said.ack.committed_sequence)
            self.moved.set()
            for last in [last for last in self.sent_at if last <= self.acked]:
                self.waits_ms.append((now - self.sent_at.pop(last)) * 1000)

    def messages(self) -> Iterator[tuple[int, bytes]]:
        """Yield the last number of each message with its bytes."""
        chance = np.random.default_rng(self.number)
        base = chance.random(self.load.series) * 100
        for first in range(0, self.load.samples, self.load.per_message):
            last = min(first + self.load.per_message, self.load.samples)
            noise = chance.normal(0, 2, (last - first, self.load.series))
            yield last, self._message(first, (base + noise).astype("<f4"))

    def _message(self, first: int, rows: NDArray[np.float32]) -> bytes:
        every_ms = round(self.load.interval_s * 1000) or 5000
        batch = pb.SampleBatch(
            samples=[
                pb.Sample(
                    sequence=first + n + 1,
                    time_unix_ms=self.start_ms + (first + n) * every_ms,
                    layout=1,
                    values=row.tobytes(),
                )
                for n, row in enumerate(rows)
            ]
        )
        return pb.MetricsRequest(samples=batch).SerializeToString()

    def _hello(self) -> bytes:
        said = pb.Hello(
            machine_id=f"machine-{self.number}",
            spool_epoch=self.epoch,
            interval_ms=round(self.load.interval_s * 1000) or 5000,
        )
        return pb.MetricsRequest(hello=said).SerializeToString()


def layout(series: int) -> bytes:
    """Return the message that describes so many series."""
    names = [f"bench.metric_{n}" for n in range(series)]
    said = pb.Layout(
        id=1,
        metrics=[pb.Metric(name=n, unit="1", kind=pb.KIND_GAUGE) for n in names],
        series=[pb.Series(metric=n) for n in range(series)],
    )
    return pb.MetricsRequest(layout=said).SerializeToString()
