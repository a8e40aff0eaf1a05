"""Machines whose own page is open: what happens between two of their ticks.

Every few seconds it is told which these are, and whoever holds their lines asks them
for a sample each second. What comes is shown to those who look, and to nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson

from hub import log
from hub.events.bus import Bus
from hub.events.event import MACHINES_WATCHED, BusDown, Event
from hub.live import frames
from hub.live.board import Board
from hub.live.fanout import Fanout
from hub.storage.sample import unpack

# A third of the time for which an agent goes on without being asked again.
TELL_S = 5.0
# Pages of one process that are watched closely. More are a wall of screens: those
# show the usual samples.
MAX_WATCHED = 200

logger = log.get_logger(__name__)


def watched(fanout: Fanout) -> list[int]:
    """Return the machines that somebody looks at closely here."""
    pks = {pk for watcher in fanout if watcher.looks_closely for pk in watcher.seen}
    return sorted(pks)[:MAX_WATCHED]


async def tell_always(
    fanout: Fanout, bus: Callable[[], Bus], looked: asyncio.Event
) -> None:
    """Tell it now and again, and when a page is opened, until cancelled."""
    while True:
        looked.clear()
        if pks := watched(fanout):
            try:
                await bus().publish(Event(MACHINES_WATCHED, orjson.dumps({"pks": pks})))
            except BusDown as away:
                logger.debug("live.unwatched", error=str(away))
        try:
            async with asyncio.timeout(TELL_S):
                await looked.wait()
        except TimeoutError:
            continue


def pass_on(event: Event, fanout: Fanout, board: Board) -> None:
    """Hand samples between two ticks to those who look at their machine."""
    watchers = [watcher for watcher in fanout if watcher.looks_closely]
    if not watchers:
        return
    try:
        samples = unpack(event.payload)
    except ValueError as wrong:
        logger.error("live.unreadable_event", id=event.id, error=str(wrong))
        return
    for sample in samples:
        lookers = [watcher for watcher in watchers if sample.machine in watcher.seen]
        card = board.cards.get(sample.machine)
        if not lookers or card is None:
            continue
        encoded = frames.instant(
            card.machine_id, sample.layout, sample.time_ms, sample.values
        )
        for watcher in lookers:
            watcher.hear_instant(sample.machine, sample.layout, encoded)
