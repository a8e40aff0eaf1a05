"""What a stream has to tell its agent: coalesced, in order, by one task.

Only the newest committed number is kept, so a reader that is slow costs nothing;
refusals are kept one by one and are bounded by `full`, at which the stream stops
reading.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from sysmonstm_proto import metrics_pb2 as pb

from hub import metrics
from hub.ingest.decode import Refused

# Refusals that wait to be sent; beyond this the stream is not read.
MAX_REFUSALS = 1_000

# Messages whose wait is remembered: some minutes of ticks.
MEASURED = 64

# Questions that wait to be sent; beyond this the oldest is not asked.
MAX_ASKS = 8

# An agent that takes nothing for so long is not there.
WRITE_S = 30.0


class MachineGone(Exception):
    """The machine was deleted while its samples were under way."""


Send = Callable[[pb.StreamAck], Awaitable[None]]


class Acks:
    """The way down of one stream. Not thread-safe: the loop's own."""

    def __init__(self) -> None:
        self.committed = 0
        self._told = 0
        self._refusals: deque[Refused] = deque()
        self._reconnect_ms: int | None = None
        self._asks: deque[pb.ProcessesAsked] = deque(maxlen=MAX_ASKS)
        # Whether there may be something to send, and who waits for it. Not an Event:
        # that takes twice as long, and this is for each tick of each machine.
        self._is_due = False
        self._idle: asyncio.Future[None] | None = None
        # Set whenever something was sent or committed: see `settled`, `room`.
        self._moved = asyncio.Event()
        self._gone = False
        self._machine_gone = False
        self._sending_since = math.inf
        # From received to committed, of the last messages.
        self.waits_ms: deque[int] = deque(maxlen=MEASURED)

    def latency_ms(self) -> tuple[float | None, float | None]:
        """Return the median and the 99th percentile of how long messages waited."""
        ordered = sorted(self.waits_ms)
        if not ordered:
            return None, None
        last = len(ordered) - 1
        return ordered[last // 2], ordered[math.ceil(last * 0.99)]

    def stuck(self, now: float) -> bool:
        """Tell whether the agent has taken nothing for too long (monotonic time)."""
        return now - self._sending_since > WRITE_S

    @property
    def full(self) -> bool:
        return len(self._refusals) >= MAX_REFUSALS

    def commit(self, sequence: int) -> None:
        """Everything up to this number is durable or refused."""
        if sequence > self.committed:
            self.committed = sequence
            self._rouse()

    def refuse(self, refused: Iterable[Refused]) -> None:
        """These will never be stored; told before the ack that passes them."""
        if not self._gone:
            for one in refused:
                self._refusals.append(one)
                metrics.REFUSALS.labels(_word(one.reason)).inc()
            self._rouse()

    def reconnect(self, after_ms: int) -> None:
        """Ask the agent to come back later."""
        self._reconnect_ms = after_ms
        self._rouse()

    def ask(self, asked: pb.ProcessesAsked) -> None:
        """Ask which processes were busy; who does not know the question is silent."""
        if not self._gone:
            self._asks.append(asked)
            self._rouse()

    def machine_gone(self) -> None:
        """Nothing more can be stored: the agent must say Hello again."""
        self._machine_gone = True
        self._rouse()

    async def run(self, send: Send) -> None:
        """Send what there is until cancelled.

        Raises MachineGone and what `send` raises.
        """
        loop = asyncio.get_running_loop()
        try:
            while True:
                if not self._is_due:
                    self._idle = loop.create_future()
                    await self._idle
                self._is_due = False
                if self._machine_gone:
                    raise MachineGone
                while (message := self._next()) is not None:
                    # A timeout here would cost a timer for each tick of each
                    # machine: `Streams.sweep` looks at all of them now and then.
                    self._sending_since = time.monotonic()
                    await send(message)
                    self._sending_since = math.inf
                    self._sent(message)
        finally:
            self._sending_since = math.inf
            self._gone = True
            self._refusals.clear()
            self._moved.set()

    async def room(self) -> None:
        """Wait until more refusals may be added."""
        while self.full:
            await self._move()

    async def settled(self, sequence: int) -> None:
        """Wait until the agent was told that this number is done with."""
        while not self._gone and (self._told < sequence or self._refusals):
            await self._move()

    async def flushed(self) -> None:
        """Wait until everything known by now was sent."""
        while not self._gone and self._next() is not None:
            await self._move()

    def _next(self) -> pb.StreamAck | None:
        if self._refusals:
            sequence, reason, detail = self._refusals[0]
            return pb.StreamAck(
                refusal=pb.Refusal(sequence=sequence, reason=reason, detail=detail)
            )
        if self.committed > self._told:
            return pb.StreamAck(ack=pb.Ack(committed_sequence=self.committed))
        if self._asks:
            return pb.StreamAck(ask=self._asks[0])
        if self._reconnect_ms is not None:
            return pb.StreamAck(reconnect=pb.Reconnect(after_ms=self._reconnect_ms))
        return None

    def _sent(self, message: pb.StreamAck) -> None:
        kind = message.WhichOneof("body")
        if kind == "ack":
            self._told = message.ack.committed_sequence
        elif kind == "refusal":
            self._refusals.popleft()
        elif kind == "ask":
            self._asks.popleft()
        else:
            self._reconnect_ms = None
        self._moved.set()

    def _rouse(self) -> None:
        self._is_due = True
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def _move(self) -> None:
        self._moved.clear()
        await self._moved.wait()


def _word(reason: pb.RefusalReason.ValueType) -> str:
    return pb.RefusalReason.Name(reason).removeprefix("REFUSAL_REASON_").lower()
