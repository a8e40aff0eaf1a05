"""Which secrets open the door now: asked of the database in bulk, then remembered.

    find ──▶ remembered and fresh? ──▶ Holder
                  │ no
                  ▼
             one question for all who wait ──▶ database

A few numbers that move with every change of a credential are looked at every POLL_S,
and at once when the bus tells of one. As long as that works, what is remembered is
true; when it does not, the database is asked for each caller again. While it is away
those who are remembered stay welcome: nobody can be revoked without it either.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Set

from django.utils import timezone

from hub.events import listening
from hub.events.bus import Bus
from hub.events.ending import end
from hub.events.event import CREDENTIALS_CHANGED
from hub.ingest.lookups import Lookups
from hub.log import get_logger
from hub.machines import credentials
from hub.machines.credentials import Holder, Tide
from hub.people import secrets
from hub.storage.database import DatabaseDown

log = get_logger(__name__)

# Revoked must be cut within 5 s, also while the bus is away.
POLL_S = 2.0
# So long after the last look what is remembered counts.
FRESH_S = 5.0

# About 300 bytes each; whoever was not seen for longest goes first.
LIMIT = 20_000

# So many wait at most for an answer; further ones are told to come back.
MAX_WAITING = 20_000

Told = Callable[[Set[int], Mapping[str, Holder]], None]


class Crowded(Exception):
    """Too many wait for the same answer (temporary)."""


class Roster:
    """`find` needs `run` beside it to remember anything."""

    def __init__(
        self,
        lookups: Lookups,
        *,
        poll_s: float = POLL_S,
        limit: int = LIMIT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookups, self._poll_s, self._limit = lookups, poll_s, limit
        self._clock = clock
        self._known: OrderedDict[str, Holder] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[Holder | None]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._tide: Tide | None = None
        self._looked_s = float("-inf")
        self._reviews = 0
        self._look = asyncio.Event()
        # Credentials that were used and not noted so yet.
        self._used: set[int] = set()

    async def find(self, secret: str) -> Holder | None:
        """Return whom a secret speaks for; raises DatabaseDown, Crowded.

        Whatever was sent is looked for alike, so that the time says nothing.
        """
        digest = secrets.digest(secret)
        known = self._known.get(digest)
        if known is not None and self._is_fresh():
            return self._admitted(digest, known)
        while True:
            review = self._reviews
            try:
                found = await self._ask(digest)
            except DatabaseDown:
                if known is None:
                    raise
                return self._admitted(digest, known)
            if found is None:
                return None
            # An answer from before a change that everybody else was judged by.
            if review == self._reviews:
                return self._admitted(digest, found)

    async def run(self, bus: Bus, told: Told, live: Callable[[], set[int]]) -> None:
        """Keep what is remembered true, until cancelled.

        After each change `told` is given which credentials were looked at (those of
        `live`, which are in use now, and those that are remembered), and what of
        them still opens anything.
        """
        look = self._look.set
        hearing = asyncio.create_task(
            listening.listen(
                bus, CREDENTIALS_CHANGED, lambda _: look(), name="roster", began=look
            )
        )
        try:
            while True:
                await self._compare(told, live)
                try:
                    async with asyncio.timeout(self._poll_s):
                        await self._look.wait()
                except TimeoutError:
                    pass
        finally:
            await end([hearing])

    def _is_fresh(self) -> bool:
        return self._clock() - self._looked_s < FRESH_S

    def _admitted(self, digest: str, holder: Holder) -> Holder | None:
        if not holder.holds(timezone.now()):
            self._known.pop(digest, None)
            return None
        self._known[digest] = holder
        self._known.move_to_end(digest)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
        self._used.add(holder.credential)
        return holder

    # -- asking

    async def _ask(self, digest: str) -> Holder | None:
        if (asked := self._waiting.get(digest)) is None:
            if len(self._waiting) >= MAX_WAITING:
                raise Crowded("Too many agents connect at once.")
            asked = asyncio.get_running_loop().create_future()
            self._waiting[digest] = asked
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._answer())
        # Several may wait for the same one, and one of them may leave.
        return await asyncio.shield(asked)

    async def _answer(self) -> None:
        """Ask for all who wait, and again for those who came meanwhile."""
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            try:
                found = await self._lookups.call(credentials.holders, list(waiting))
            except Exception as error:  # noqa: BLE001 - told to each who waits
                for asked in waiting.values():
                    asked.set_exception(error)
                    # Whoever asked may have left by now.
                    asked.exception()
                continue
            for digest, asked in waiting.items():
                asked.set_result(found.get(digest))

    # -- keeping true

    async def _compare(self, told: Told, live: Callable[[], set[int]]) -> None:
        self._look.clear()
        began_s = self._clock()
        used, self._used = self._used, set()
        try:
            tide = await self._lookups.call(credentials.tide)
            if tide != self._tide:
                await self._review(told, live())
            self._tide, self._looked_s = tide, began_s
            if used:
                await self._lookups.call(credentials.touch, used)
        except DatabaseDown as down:
            log.debug("roster.blind", error=str(down))
        except Exception:
            # It must go on: without it nobody is cut.
            log.exception("roster.failed")

    async def _review(self, told: Told, live: set[int]) -> None:
        self._reviews += 1
        before = dict(self._known)
        ids = live | {holder.credential for holder in before.values()}
        still = await self._lookups.call(credentials.still, ids)
        for digest, holder in before.items():
            if digest not in still and self._known.get(digest) == holder:
                del self._known[digest]
        for digest in still.keys() & self._known.keys():
            # One that a rotation has replaced ends now.
            self._known[digest] = still[digest]
        told(ids, still)
