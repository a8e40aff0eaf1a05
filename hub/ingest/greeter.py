"""Hello and Welcome: which machine it is, and from where its agent goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import orjson
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.limits import DEFAULT_WINDOW

from hub.events.errands import Errands
from hub.events.event import MACHINES_CHANGED, Event
from hub.ingest import hello, rivals, text
from hub.ingest.acquaintances import Acquaintance, Acquaintances
from hub.ingest.announce import Announcer
from hub.ingest.caller import Caller
from hub.ingest.decode import Source
from hub.ingest.lookups import Lookups
from hub.ingest.stream import Stream
from hub.ingest.streams import Streams
from hub.log import get_logger
from hub.machines import registry
from hub.machines.models import Machine
from hub.machines.registry import Arrival
from hub.storage import raw
from hub.storage.database import DatabaseDown

log = get_logger(__name__)

# A sample is late when it comes so much after its time: some ticks were missed.
LATE_TICKS = 3
LATE_MS = 30_000

# Beyond this it is no clock but a mistake; it fits every database.
MAX_SKEW_MS = 2**53


class Greeter:
    """Welcomes streams: by the database, or from memory while that is away."""

    def __init__(
        self,
        streams: Streams,
        announcer: Announcer,
        lookups: Lookups,
        *,
        is_away: Callable[[], bool],
    ) -> None:
        self._streams, self._announcer = streams, announcer
        self._lookups, self._is_away = lookups, is_away
        self._known = Acquaintances()
        self._errands = Errands()

    async def welcome(
        self, stream: Stream, said: pb.Hello, caller: Caller
    ) -> pb.StreamAck:
        """Make the stream its machine's own; return what to answer.

        Raises BadHello, NotIts, TooManyNew, and DatabaseDown when only the database
        knows the machine.
        """
        now_ms = _now_ms()
        arrival = hello.arrival(said, caller.machine(said.machine_id), now_ms=now_ms)
        if said.machine_id != arrival.machine_id:
            # What it calls itself does not matter; that it claims another's name may.
            log.warning(
                "hello.named_another",
                machine=arrival.machine_id,
                named=text.plain(said.machine_id),
                peer=stream.peer,
            )
        skew_ms = said.clock_unix_ms - now_ms if said.clock_unix_ms else 0
        stream.clock_skew_ms = max(-MAX_SKEW_MS, min(skew_ms, MAX_SKEW_MS))
        try:
            cursor = await self._ask(stream, arrival, said.spool_epoch, caller)
        except DatabaseDown:
            known = self._known.find(arrival.machine_id, said.spool_epoch)
            if known is None:
                raise
            cursor = known.committed
            await self._take(stream, arrival, known)
        log.info(
            "stream.opened",
            machine=arrival.machine_id,
            peer=stream.peer,
            cursor=cursor,
        )
        welcome = pb.Welcome(
            committed_sequence=cursor, clock_unix_ms=_now_ms(), window=DEFAULT_WINDOW
        )
        return pb.StreamAck(welcome=welcome)

    def part(self, stream: Stream, machine_id: str) -> None:
        """Remember how far the stream came."""
        source = stream.source
        known = Acquaintance(source.machine, source.epoch, stream.acks.committed)
        self._known.note(machine_id, known)

    async def _ask(
        self, stream: Stream, arrival: Arrival, epoch: bytes, caller: Caller
    ) -> int:
        """Welcome by the database; return the cursor."""
        if self._is_away():
            raise DatabaseDown("the database does not answer")
        arrive = partial(
            registry.arrive,
            credential=caller.credential,
            epoch=epoch,
            shared_from=caller.shared_from,
        )
        machine, is_new = await self._lookups.call(arrive, arrival)
        await self._take(stream, arrival, Acquaintance(machine.pk, epoch, 0))
        # What the stream before has queued is committed first.
        cursor = await self._lookups.call(raw.cursor, machine.pk, epoch)
        self._known.note(arrival.machine_id, Acquaintance(machine.pk, epoch, cursor))
        if is_new:
            self._errands.start(self._announcer.publish(changed(machine)))
        return cursor

    async def _take(
        self, stream: Stream, arrival: Arrival, known: Acquaintance
    ) -> None:
        # By the hub's clock: an agent whose clock is behind is not late.
        late_ms = max(LATE_MS, round(LATE_TICKS * arrival.interval_s * 1000))
        late_ms -= stream.clock_skew_ms
        source = Source(known.machine, known.epoch, late_ms)
        await self._streams.take(stream, source)
        self._errands.start(
            self._announcer.publish(rivals.opened(known.machine, stream.mark))
        )


def changed(machine: Machine) -> Event:
    """Say that a machine has come, or that its agent has left."""
    payload = {"pk": machine.pk, "machine_id": machine.machine_id}
    return Event(MACHINES_CHANGED, orjson.dumps(payload))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
