"""Streams of one machine in several processes: the newest wins everywhere.

Which process stores a sample does not matter, the cursor sees to that; but an old
stream that nobody ends would be fed by an agent that is not there any more.
"""

from __future__ import annotations

import asyncio
import random

import orjson

from hub.events.bus import Bus
from hub.events.event import STREAM_OPENED, BusDown, Event
from hub.ingest.streams import Streams
from hub.log import get_logger

log = get_logger(__name__)

PAUSE_S = 2.0


def opened(machine: int, mark: str) -> Event:
    """Return the event that tells every process of a stream."""
    return Event(STREAM_OPENED, orjson.dumps({"pk": machine, "stream": mark}))


async def listen(bus: Bus, streams: Streams) -> None:
    """End our streams when newer ones are opened elsewhere, until cancelled.

    While the bus is away two streams of a machine may live side by side.
    """
    while True:
        try:
            async with bus.subscribe(STREAM_OPENED) as events:
                async for event in events:
                    told = orjson.loads(event.payload)
                    streams.heard(told["pk"], told["stream"])
        except BusDown as down:
            log.debug("rivals.deaf", error=str(down))
        except (ValueError, KeyError, TypeError):
            log.warning("rivals.garbled")
        await asyncio.sleep(random.uniform(0.5, 1.0) * PAUSE_S)
