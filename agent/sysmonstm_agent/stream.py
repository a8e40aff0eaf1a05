"""One conversation with the hub.

    Hello ->            who is here, what is in the spool
          <- Welcome    the cursor: what the hub has; the window
    Account ->          what became of all samples; again as it changes
    Layout ->           before the first sample that needs it
    Sample (live) ->    the newest one, where it cannot travel in order yet
    Processes ->        a snapshot that was asked for, or that tells of a rise
    SampleBatch ->      what is after the cursor, as far as the window allows
          <- Ack        the spool forgets, the window opens
          <- Refusal    counted; the Ack goes past it
          <- Ask        which processes were busy around a moment
          <- Reconnect  the hub is leaving: come back later
    Instant ->          a sample that is only shown, while somebody watches
    Goodbye ->          the agent is being stopped: its silence is meant

One task reads and one writes. What the reader hears it notes and then sets
`_changed`; the writer looks at everything again whenever that is set.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

from grpc import aio
from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

from sysmonstm_agent.layout import Layout, Sample
from sysmonstm_agent.log import log
from sysmonstm_agent.spool import Spool, Spooled
from sysmonstm_agent.wire import (
    account_message,
    instant_message,
    layout_message,
    sample_message,
)

Call = aio.StreamStreamCall[pb.MetricsRequest, pb.StreamAck]

# Connecting included. The hub answers Hello from memory or by one small query.
WELCOME_S = 10.0
# How long a hub that is leaving may take for its last acknowledgements. What it
# does not acknowledge is sent again; it knows repeats.
GOODBYE_S = 5.0
# How long an agent that is stopped waits for them before it says so. Together with
# the goodbye it has less than a second: `agent.LEAVE_S`.
SETTLED_S = 0.6
# A backlog travels in messages of about this size, a quarter of what is allowed.
BATCH_BYTES = limits.MAX_MESSAGE_BYTES // 4
BATCH_SAMPLES = 256
# Layouts whose numbers are remembered. Numbers are never used again, so one that
# was forgotten is sent anew. Fewer than a hub remembers, which refuses others.
MAX_LAYOUTS = 8
# Between two accounts, at least.
ACCOUNT_S = 10.0
# Questions that wait for their answer; beyond this the oldest is not answered.
MAX_ASKED = 4


class HubSilent(Exception):
    """The hub took the call and said nothing."""


class Witness(Protocol):
    """Knows which processes were busy; answers at once."""

    def answer(self, asked: pb.ProcessesAsked) -> pb.ProcessSnapshot: ...

    def unasked(self) -> pb.ProcessSnapshot | None: ...


class Watcher(Protocol):
    """Has samples that are to be shown at once; answers at once."""

    def instant(self) -> Sample | None: ...


class Stream:
    """Lives as long as one call. `run` returns when either side says goodbye."""

    def __init__(
        self,
        call: Call,
        spool: Spool,
        *,
        clock: Callable[[], float] = time.monotonic,
        witness: Witness | None = None,
        live: Watcher | None = None,
        welcomed: Callable[[], object] | None = None,
    ) -> None:
        """`welcomed` is called once the hub has answered Hello."""
        self._call = call
        self._spool = spool
        self._clock = clock
        self._witness = witness
        self._live = live
        self._welcomed = welcomed
        self._asked: deque[pb.ProcessesAsked] = deque(maxlen=MAX_ASKED)
        self._changed = asyncio.Event()
        self._leaving = False
        self._reason = ""
        self._ended = False
        self._layouts: dict[Layout, int] = {}
        self._layouts_sent = 0
        # What is under way without an acknowledgement, ascending.
        self._in_flight: deque[int] = deque()
        self._sent = 0
        # The newest one that was sent to be shown.
        self._shown = 0
        self._window = 0
        self._account: pb.Account | None = None
        self._account_s = 0.0
        self.welcomed_s: float | None = None
        self.acknowledged = 0
        # Whether the hub acknowledged what was never sent; it is told once.
        self._is_ahead = False
        # Whether it ended since the spool had to begin a new epoch.
        self.renewed = False
        self.refused: Counter[str] = Counter()
        self.reconnect_after_s: float | None = None

    async def run(self, hello: pb.Hello) -> None:
        """Talk until the end. Raises AioRpcError or HubSilent when it is a bad one."""
        reader = asyncio.create_task(self._read())
        try:
            await self._write_all(hello)
            await self._say_goodbye()
            if reader.done():
                await reader
        finally:
            # Ends the reader too. It is not cancelled, since cancelling a read
            # leaks memory in grpc (grpc/grpc#43360).
            self._call.cancel()
            with contextlib.suppress(aio.AioRpcError, asyncio.CancelledError):
                await reader

    def wake(self) -> None:
        """Look at the spool again: there is a new sample."""
        self._changed.set()

    def leave(self, reason: str = "") -> None:
        """Send nothing more; end as soon as what was sent is acknowledged.

        With a reason the hub is told it, so that the silence to come is meant.
        """
        self._leaving, self._reason = True, reason
        self._changed.set()

    def come_back(self) -> None:
        """End politely, so that the hub is greeted anew."""
        if self.reconnect_after_s is None:
            self.reconnect_after_s = 0.0
        self._changed.set()

    async def _write_all(self, hello: pb.Hello) -> None:
        # A write fails once the call has ended; why it ended is for the reader
        # to say.
        with contextlib.suppress(aio.AioRpcError, asyncio.InvalidStateError):
            await self._greet(hello)
            while not self._over:
                self._changed.clear()
                batch = self._next_batch()
                await self._show(batch)
                await self._tell_account()
                await self._tell_processes()
                await self._show_instant()
                if batch:
                    await self._send(batch)
                else:
                    await self._changed.wait()

    @property
    def _over(self) -> bool:
        return self._leaving or self._ended or self.reconnect_after_s is not None

    async def _greet(self, hello: pb.Hello) -> None:
        try:
            async with asyncio.timeout(WELCOME_S):
                await self._call.write(pb.MetricsRequest(hello=hello))
                while self.welcomed_s is None and not self._ended:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise HubSilent from None

    def _next_batch(self) -> list[Spooled]:
        room = min(self._window - len(self._in_flight), BATCH_SAMPLES)
        if room <= 0:
            return []
        batch = self._spool.read(self._sent, room)
        size = 0
        for count, (_, sample) in enumerate(batch):
            size += len(sample.values)
            if count and size > BATCH_BYTES:
                return batch[:count]
        return batch

    async def _show(self, batch: list[Spooled]) -> None:
        """Send the newest sample ahead, where it is not the next to be sent."""
        newest = self._spool.newest()
        due = batch[-1].sequence if batch else self._sent
        if newest and newest.sequence > max(due, self._shown):
            self._shown = newest.sequence
            number = await self._number(newest.sample.layout)
            live = sample_message(newest, number)
            await self._call.write(pb.MetricsRequest(live=live))

    async def _tell_account(self) -> None:
        """Looked at with each tick; a spool at rest has nothing new to tell."""
        now_s = self._clock()
        if self._account and now_s - self._account_s < ACCOUNT_S:
            return
        account = account_message(self._spool)
        if account != self._account:
            self._account, self._account_s = account, now_s
            await self._call.write(pb.MetricsRequest(account=account))

    async def _tell_processes(self) -> None:
        if self._witness is None:
            return
        if unasked := self._witness.unasked():
            await self._call.write(pb.MetricsRequest(processes=unasked))
        while self._asked:
            answer = self._witness.answer(self._asked.popleft())
            await self._call.write(pb.MetricsRequest(processes=answer))

    async def _show_instant(self) -> None:
        """Send the newest one; those that the hub was too slow for are gone."""
        sample = self._live.instant() if self._live else None
        if sample is not None:
            number = await self._number(sample.layout)
            await self._call.write(instant_message(sample, number))

    async def _send(self, batch: list[Spooled]) -> None:
        message = pb.SampleBatch()
        layout, number = None, 0
        for spooled in batch:
            # Looking up a layout hashes all of it, and a backlog has mostly one.
            if spooled.sample.layout is not layout:
                layout = spooled.sample.layout
                number = await self._number(layout)
            message.samples.append(sample_message(spooled, number))
            self._in_flight.append(spooled.sequence)
        self._sent = batch[-1].sequence
        await self._call.write(pb.MetricsRequest(samples=message))

    async def _number(self, layout: Layout) -> int:
        """Return the layout's number in this stream, sending it first if it is new."""
        number = self._layouts.get(layout)
        if number is None:
            if len(self._layouts) == MAX_LAYOUTS:
                self._layouts.pop(next(iter(self._layouts)))
            self._layouts_sent += 1
            number = self._layouts[layout] = self._layouts_sent
            await self._call.write(layout_message(layout, number))
        return number

    async def _say_goodbye(self) -> None:
        says_why = bool(self._reason) and self.welcomed_s is not None
        if says_why:
            await self._wait_while(lambda: self._in_flight, SETTLED_S)
        with contextlib.suppress(aio.AioRpcError, asyncio.InvalidStateError):
            if says_why and not self._ended:
                goodbye = pb.Goodbye(reason=self._reason)
                await self._call.write(pb.MetricsRequest(goodbye=goodbye))
            await self._call.done_writing()
        # Ending the call at once would take back a goodbye that is under way.
        await self._wait_while(
            lambda: self._in_flight or says_why or not self._leaving, GOODBYE_S
        )

    async def _wait_while(
        self, condition: Callable[[], object], limit_s: float
    ) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while not self._ended and condition():
                    self._changed.clear()
                    await self._changed.wait()

    async def _read(self) -> None:
        try:
            async for message in self._call:
                self._hear(message)
                self._changed.set()
        finally:
            self._ended = True
            self._changed.set()

    def _hear(self, message: pb.StreamAck) -> None:
        match message.WhichOneof("body"):
            case "welcome":
                self._resume(message.welcome)
            case "ack":
                self._acknowledge(message.ack.committed_sequence)
            case "refusal":
                self._count(message.refusal)
            case "reconnect":
                self.reconnect_after_s = message.reconnect.after_ms / 1000
            case "ask":
                self._asked.append(message.ask)

    def _resume(self, welcome: pb.Welcome) -> None:
        self.welcomed_s = self._clock()
        self._window = welcome.window or limits.DEFAULT_WINDOW
        cursor = welcome.committed_sequence
        known = self._spool.handed_out
        if cursor > known:
            # Numbers beyond were given before, to other samples: the machine was
            # cloned, the spool came back from a backup, or the agent was killed
            # while the disk took nothing. Going on would have the hub take new
            # samples for repeats; a new epoch loses nothing.
            log.warning("spool.behind_hub", cursor=cursor, known=known)
            self._spool.forget(known)
            self._spool.renew()
            self.renewed, self.reconnect_after_s = True, 0.0
            return
        self._spool.forget(cursor)
        self._sent = cursor
        log.info(
            "hub.connected",
            cursor=cursor,
            window=self._window,
            spooled=self._spool.last - cursor,
            hub_clock_ms=welcome.clock_unix_ms,
        )
        if self._welcomed is not None:
            self._welcomed()

    def _acknowledge(self, committed: int) -> None:
        if committed > self._sent:
            if not self._is_ahead:
                self._is_ahead = True
                log.warning("ack.beyond_sent", committed=committed, sent=self._sent)
            committed = self._sent
        while self._in_flight and self._in_flight[0] <= committed:
            self._in_flight.popleft()
            self.acknowledged += 1
        self._spool.forget(committed)

    def _count(self, refusal: pb.Refusal) -> None:
        reason = name_of(refusal.reason)
        self.refused[reason] += 1
        if self.refused[reason] == 1:
            log.warning(
                "sample.refused",
                sequence=refusal.sequence,
                reason=reason,
                detail=refusal.detail,
            )


def name_of(reason: pb.RefusalReason.ValueType) -> str:
    try:
        return pb.RefusalReason.Name(reason)
    except ValueError:
        # Of a newer hub.
        return "REFUSAL_REASON_UNKNOWN"
