"""Streams of one machine in several processes: the newest wins everywhere.

Which process stores a sample does not matter, the cursor sees to that; but an old
stream that nobody ends would be fed by an agent that is not there any more.
"""

from __future__ import annotations

import orjson

from hub.events import listening
from hub.events.bus import Bus
from hub.events.event import STREAM_OPENED, Event
from hub.ingest.streams import Streams


def opened(machine: int, mark: str) -> Event:
    """Return the event that tells every process of a stream."""
    return Event(STREAM_OPENED, orjson.dumps({"pk": machine, "stream": mark}))


async def listen(bus: Bus, streams: Streams) -> None:
    """End our streams when newer ones are opened elsewhere, until cancelled.

    While the bus is away two streams of a machine may live side by side.
    """

    def hear(event: Event) -> None:
        streams.heard(*_read(event.payload))

    await listening.listen(bus, STREAM_OPENED, hear, name="rivals")


def _read(payload: bytes) -> tuple[int, str]:
    match orjson.loads(payload):
        case {"pk": int(machine), "stream": str(mark)}:
            return machine, mark
    raise ValueError("not a machine and a mark")
