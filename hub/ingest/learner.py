"""New layouts: learnt from the database, or placed for now while that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from hub.events.patience import waits
from hub.ingest.decode import Known
from hub.ingest.isolate import HUB_FAULTS
from hub.ingest.lookups import Lookups
from hub.log import get_logger
from hub.storage import layouts, provisional
from hub.storage.database import DatabaseDown
from hub.storage.layouts import LayoutInfo, SeriesInfo

log = get_logger(__name__)

# A stream reads nothing meanwhile, and its live view stands still.
PATIENCE_S = 1.5

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
# Hot state forgets a layout after 15 minutes, and all of them when it is restarted.
REPEAT_S = 60.0

Sleep = Callable[[float], Awaitable[None]]


class Learner:
    """Gives each list of series its number, and mends those that were for now."""

    def __init__(
        self,
        lookups: Lookups,
        *,
        is_away: Callable[[], bool],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._lookups, self._is_away, self._sleep = lookups, is_away, sleep
        # One for all streams that send this layout: it is mended in one place.
        self._placed: dict[int, Known] = {}
        self._mending: asyncio.Task[None] | None = None

    async def learn(self, series: Sequence[SeriesInfo]) -> Known:
        """Return the layout's number; raises DatabaseDown when none can be had."""
        try:
            info = await self._stored(series)
        except DatabaseDown as down:
            info = await self._place(series, down)
        size_bytes = 4 * len(series)
        if info.id >= 0:
            return Known(info.id, size_bytes)
        known = self._placed.setdefault(info.id, Known(info.id, size_bytes))
        if self._mending is None or self._mending.done():
            self._mending = asyncio.create_task(self._mend(), name="layouts")
        return known

    def close(self) -> None:
        if self._mending is not None:
            self._mending.cancel()

    async def _stored(self, series: Sequence[SeriesInfo]) -> LayoutInfo:
        if self._is_away():
            raise DatabaseDown("the database does not answer")
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._lookups.call(layouts.learn, series)
        except TimeoutError as silent:
            raise DatabaseDown("the database does not answer") from silent

    async def _place(
        self, series: Sequence[SeriesInfo], down: DatabaseDown
    ) -> LayoutInfo:
        try:
            placed = await asyncio.to_thread(provisional.place, series)
        except provisional.NoPlace as full:
            log.warning("layout.waits", error=str(full))
            raise down from full
        log.info("layout.placed", number=placed.id, series=len(series))
        return placed

    async def _store(self, number: int) -> bool:
        """Store one; False: the database is still away."""
        try:
            row = await self._lookups.call(provisional.stored, number)
        except HUB_FAULTS as fault:
            log.debug("layouts.wait", error=repr(fault))
            return False
        except Exception:
            # Its samples are set aside one by one; the others need not wait for it.
            log.exception("layout.refused", placed=number)
            del self._placed[number]
            return True
        self._placed.pop(number).id = row
        log.info("layout.stored", number=row, placed=number)
        return True

    async def _mend(self) -> None:
        """Store what was placed, as soon as the database takes it."""
        pauses = waits(first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)
        since_s = 0.0
        while self._placed:
            pause_s = next(pauses)
            await self._sleep(pause_s)
            since_s += pause_s
            for number in list(self._placed):
                if not await self._store(number):
                    break
            if self._placed and since_s >= REPEAT_S:
                since_s = 0.0
                await asyncio.to_thread(provisional.repeat)
