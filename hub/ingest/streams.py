"""All streams of this process: how many there may be, and one for each machine."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable

import grpc

from hub.events.errands import Errands
from hub.ingest.decode import Source
from hub.ingest.stream import Stream

# Bounds of our own: the server's maximum_concurrent_rpcs miscounts after its
# first refusals (grpc issue 41531).
MAX_STREAMS = 10_000
# From one address: a site behind NAT, not a flood.
MAX_STREAMS_PER_PEER = 2_000

# Between two looks for streams that take no acknowledgement.
SWEEP_S = 5.0

# What agents wait, with jitter of their own, after an announced end.
RECONNECT_MS = 1_000


# After the database was away: a thousand streams a few at a time.
SPREAD_S = 0.005
LONGEST_SPREAD_S = 10.0
# What an agent has to leave by itself.
CALLED_S = 3.0

# By then the bus has told of a stream, or never will.
HEARD_WITHIN_S = 5.0

TAKEN_OVER = "A newer stream of this machine took over."


class TooMany(Exception):
    """No room for another stream now (temporary)."""


class Leaving(Exception):
    """This hub is about to stop (temporary)."""


class Streams:
    """The register of open streams."""

    def __init__(
        self,
        *,
        limit: int = MAX_STREAMS,
        limit_per_peer: int = MAX_STREAMS_PER_PEER,
    ) -> None:
        self._limit, self._limit_per_peer = limit, limit_per_peer
        self._open: set[Stream] = set()
        self._peers: Counter[str] = Counter()
        self._newest: dict[int, Stream] = {}
        self._lagging: set[Stream] = set()
        self._errands = Errands()
        self.leaving = False

    def __len__(self) -> int:
        return len(self._open)

    def open(self, stream: Stream) -> None:
        """Count a stream in; raises TooMany, Leaving."""
        if self.leaving:
            raise Leaving("The hub is stopping.")
        if len(self._open) >= self._limit:
            raise TooMany("The hub has as many streams as it can hold.")
        if self._peers[stream.peer] >= self._limit_per_peer:
            raise TooMany("Too many streams from this address.")
        self._open.add(stream)
        self._peers[stream.peer] += 1

    async def take(self, stream: Stream, source: Source) -> None:
        """Make the stream its machine's own; the one before it is ended.

        Once this returns, nothing of the old one can be queued any more, so the
        cursor that Welcome tells is safe: what is queued comes first.
        """
        old = self._newest.get(source.machine)
        self._newest[source.machine] = stream
        stream.source = source
        if old is not None and old is not stream:
            await old.end(grpc.StatusCode.ABORTED, TAKEN_OVER)

    def heard(self, machine: int, mark: str) -> None:
        """Some process has opened a stream; end ours if that one is newer.

        The bus gives every process the same order: ours is older when we have
        heard of it before, or should have by now.
        """
        own = self._newest.get(machine)
        if own is None:
            return
        if own.mark == mark:
            own.announced = True
        elif own.announced or time.monotonic() - own.opened_s > HEARD_WITHIN_S:
            self._errands.start(own.end(grpc.StatusCode.ABORTED, TAKEN_OVER))

    def of(self, machine: int) -> Stream | None:
        """Return the machine's own stream, if this process holds it."""
        return self._newest.get(machine)

    def lag(self, stream: Stream) -> None:
        """What the stream sent could not be queued; it must resume later."""
        if not stream.lagging:
            stream.lagging = True
            self._lagging.add(stream)

    def call_back(self) -> None:
        """The database is back: let those that lag connect again, not all at once."""
        lagging, self._lagging = self._lagging, set()
        spread_s = min(LONGEST_SPREAD_S, len(lagging) * SPREAD_S)
        for stream in lagging:
            self._errands.start(_call_back(stream, random.uniform(0, spread_s)))

    def close(self, stream: Stream) -> None:
        """Count a stream out. An ended one leaves its successor alone."""
        stream.ended = True
        stream.over.set()
        stream.finished.set()
        if stream not in self._open:
            return
        self._open.discard(stream)
        self._lagging.discard(stream)
        self._peers[stream.peer] -= 1
        if not self._peers[stream.peer]:
            del self._peers[stream.peer]
        if self._newest.get(stream.machine) is stream:
            del self._newest[stream.machine]

    async def sweep(
        self,
        *,
        every_s: float = SWEEP_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """End the streams of agents that read nothing, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            stuck = [stream for stream in self._open if stream.acks.stuck(clock())]
            code = grpc.StatusCode.DEADLINE_EXCEEDED
            await _end_all(stuck, code, "The acknowledgements are not read.")

    def leave(self) -> None:
        """Take no more streams and samples; ask each agent to come back later."""
        self.leaving = True
        for stream in self._open:
            stream.acks.reconnect(RECONNECT_MS)

    async def flush(self) -> None:
        """Wait until each stream has sent what it knows."""
        welcomed = [stream for stream in self._open if stream.machine]
        await asyncio.gather(*(stream.acks.flushed() for stream in welcomed))

    async def end(self) -> None:
        """End what is still open, and wait for the handlers."""
        streams = list(self._open)
        code = grpc.StatusCode.UNAVAILABLE
        await _end_all(streams, code, "The hub is restarting.")
        await asyncio.gather(*(stream.finished.wait() for stream in streams))


async def _call_back(stream: Stream, after_s: float) -> None:
    """Ask the agent to connect again, and see to it that it does."""
    await asyncio.sleep(after_s)
    stream.acks.reconnect(RECONNECT_MS)
    try:
        async with asyncio.timeout(CALLED_S):
            await stream.over.wait()
    except TimeoutError:
        sentence = "Connect again: the hub can store samples now."
        await stream.end(grpc.StatusCode.UNAVAILABLE, sentence)


async def _end_all(
    streams: Iterable[Stream], code: grpc.StatusCode, sentence: str
) -> None:
    await asyncio.gather(*(stream.end(code, sentence) for stream in streams))
