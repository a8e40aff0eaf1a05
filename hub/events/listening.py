"""Hearing a topic for as long as the process runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hub.events.bus import Bus
from hub.events.event import BusDown, Event
from hub.events.patience import waits
from hub.log import get_logger

log = get_logger(__name__)

Sleep = Callable[[float], Awaitable[None]]

# Who listens also looks at the database every few seconds; this is to be sooner.
LONGEST_S = 2.0


async def listen(
    bus: Bus,
    topic: str,
    hear: Callable[[Event], None],
    *,
    name: str,
    began: Callable[[], None] = lambda: None,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Give `hear` every event of a topic, until cancelled.

    `name` begins what is logged. What `hear` raises ValueError for is garbled, and the
    next one is heard. While the bus is away it is tried again and again; `began` is
    called whenever it is heard anew: what was told before that is lost.
    """
    pauses = waits(longest_s=LONGEST_S)
    while True:
        try:
            async with bus.subscribe(topic) as events:
                pauses = waits(longest_s=LONGEST_S)
                began()
                async for event in events:
                    _hand_over(event, hear, name)
        except BusDown as down:
            log.debug(f"{name}.deaf", error=str(down))
        await sleep(next(pauses))


def _hand_over(event: Event, hear: Callable[[Event], None], name: str) -> None:
    try:
        hear(event)
    except ValueError as garbled:
        log.warning(f"{name}.garbled", error=str(garbled))
    except Exception:
        # The next one must be heard.
        log.exception(f"{name}.failed")
