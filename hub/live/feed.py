"""One reader of events for all sockets of this process.

    bus ─→ _hear ─→ board ─→ fanout ─→ watchers ─→ their sockets' own tasks
                      ↑
    database ─→ _check: names, permits, sessions, every few seconds

It runs while somebody watches. It listens first and then reads what is, so that
nothing falls between; what it reads twice is recognised as old.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable

from channels.db import database_sync_to_async

from hub import log, metrics
from hub.events.bus import Bus, get_bus
from hub.events.event import (
    ALERT_TOPICS,
    MACHINES_CHANGED,
    METRICS_INSTANT,
    METRICS_RAW,
    BusDown,
    Event,
    Events,
)
from hub.events.patience import waits
from hub.live import closeup, frames, look
from hub.live.board import Board
from hub.live.fanout import Fanout, Watcher
from hub.live.frames import Card, Close
from hub.live.permits import Credential, Permit
from hub.storage.database import DatabaseDown
from hub.storage.sample import unpack

# Faster than people see changes, slow enough to share the work among machines.
INTERVAL_S = 0.1
PULSE_S = 0.5
# What a server will pass on at once; a thousand machines are about as much.
MAX_FRAME_BYTES = 512 * 2**10
# A sign-out ends its sockets within 10 s, a slow database included.
CHECK_S = 5.0
# When machines appear, sooner; a thousand at once are still one check.
SOONEST_CHECK_S = 1.0
JOIN_S = 8.0
# A database that is away is not asked for layouts at every event.
LAYOUTS_AGAIN_S = 2.0

logger = log.get_logger(__name__)


class NotFound(Exception):
    """A machine that was asked for does not exist for this user (permanent)."""


class SignedOut(Exception):
    """The credential does not hold, or no longer (permanent)."""


class Feed:
    """Belongs to one event loop; see `feeds.get_feed`."""

    def __init__(
        self,
        bus: Callable[[], Bus] = get_bus,
        *,
        fanout: Fanout | None = None,
        interval_s: float = INTERVAL_S,
        check_s: float = CHECK_S,
        clock: Callable[[], float] = time.monotonic,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.fanout = Fanout() if fanout is None else fanout
        self._bus = bus
        self._interval_s, self._check_s = interval_s, check_s
        self._clock, self._now_s = clock, now_s
        self._credentials: dict[Watcher, Credential] = {}
        self._running: asyncio.Task[None] | None = None
        self._begin()

    def _begin(self) -> None:
        self._board = Board()
        self._loaded = asyncio.Event()
        self._check_soon = asyncio.Event()
        # Somebody has opened a page.
        self._looked = asyncio.Event()
        self._events: Events | None = None
        self._down = False
        self._changed: set[int] = set()
        self._last_flush_s = 0.0
        self._flushing: asyncio.TimerHandle | None = None
        self._unknown: set[int] = set()
        self._layouts_again_s = 0.0

    async def join(self, watcher: Watcher, credential: Credential) -> None:
        """Let a socket in; from now on it hears of its machines.

        Raises TooMany, SignedOut, NotFound; DatabaseDown or TimeoutError when
        what is cannot be read now.
        """
        self.fanout.add(watcher)
        self._credentials[watcher] = credential
        try:
            self._start()
            async with asyncio.timeout(JOIN_S):
                await self._loaded.wait()
                await self._check([watcher])
            self._admit(watcher)
            self._looked.set()
        except BaseException:
            self.leave(watcher)
            raise

    def leave(self, watcher: Watcher) -> None:
        self.fanout.remove(watcher)
        self._credentials.pop(watcher, None)
        if not len(self.fanout) and self._running is not None:
            self._running.cancel()
            self._running = None
            if self._flushing is not None:
                self._flushing.cancel()

    def snapshot(self, watcher: Watcher) -> str:
        """Return the first frame: what the socket may see.

        With very many machines the rest follows as changes.
        """
        watcher.show_all()
        return self._frame("snapshot", watcher)

    def changes(self, watcher: Watcher) -> str:
        """Return the newest state of each machine that has changed."""
        return self._frame("changes", watcher)

    def _frame(self, kind: str, watcher: Watcher) -> str:
        states, layouts = self._pack(watcher)
        gone = self._gone(watcher) if watcher.gone else ()
        watcher.gone.clear()
        news, watcher.news = watcher.news, {}
        instants, watcher.instants = watcher.instants, {}
        text = frames.frame(
            kind,
            watcher.sends(self._clock()),
            self._now_ms(),
            states,
            layouts=layouts,
            gone=gone,
            alerts=news.values(),
            instants=instants.values(),
            bus_down=self._down,
        )
        metrics.FRAMES.inc()
        metrics.FRAME_BYTES.inc(len(text))
        return text

    def _pack(self, watcher: Watcher) -> tuple[list[bytes], dict[int, bytes]]:
        """Take out what fits into one frame; the rest goes with the next."""
        states: list[bytes] = []
        layouts: dict[int, bytes] = {}
        size = 0
        while watcher.changed and size < MAX_FRAME_BYTES:
            pk = watcher.changed.pop()
            states.append(self._board.state(watcher.view, pk))
            size += len(states[-1])
            layout = self._board.layout_of(pk) if watcher.view == frames.FULL else None
            if layout is not None and layout not in watcher.layouts:
                watcher.layouts.add(layout)
                layouts[layout] = self._board.layout(layout)
                size += len(layouts[layout])
        return states, layouts

    def _gone(self, watcher: Watcher) -> set[str]:
        """Leave out who went and came back under another number."""
        here = {self._board.cards[pk].machine_id for pk in watcher.seen}
        return watcher.gone - here

    def _admit(self, watcher: Watcher) -> None:
        if watcher.closing is Close.SIGNED_OUT:
            raise SignedOut
        if watcher.wanted is not None and len(watcher.seen) < len(watcher.wanted):
            raise NotFound

    def _start(self) -> None:
        if self._running is None or self._running.done():
            self._begin()
            self._running = asyncio.create_task(self._run(), name="live.feed")

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear_always())
            group.create_task(self._check_always())
            group.create_task(self._pulse_always())
            group.create_task(closeup.tell_always(self.fanout, self._bus, self._looked))

    async def _hear_always(self) -> None:
        pauses = waits()
        while True:
            try:
                async with self._bus().subscribe(
                    METRICS_RAW, METRICS_INSTANT, MACHINES_CHANGED, *ALERT_TOPICS
                ) as events:
                    self._events = events
                    await self._load()
                    pauses = waits()
                    async for event in events:
                        await self._take(event)
            except BusDown as away:
                logger.warning("live.bus_down", error=str(away))
                self._down = True
                await self._load_without_bus()
            except DatabaseDown as away:
                logger.warning("live.database_down", error=str(away))
            except Exception:
                logger.exception("live.feed_failed")
            self._events = None
            await asyncio.sleep(next(pauses))

    async def _take(self, event: Event) -> None:
        if event.topic == MACHINES_CHANGED:
            self._check_soon.set()
            return
        if event.topic in ALERT_TOPICS:
            self._pass_on(event)
            return
        if event.topic == METRICS_INSTANT:
            closeup.pass_on(event, self.fanout, self._board)
            return
        try:
            samples = unpack(event.payload)
        except ValueError as wrong:
            logger.error("live.unreadable_event", id=event.id, error=str(wrong))
            return
        if samples:
            lag_s = self._now_s() - samples[-1].received_ms / 1000
            metrics.EVENT_LAG.observe(max(0.0, lag_s))
        if lacking := self._board.lacks(sample.layout for sample in samples):
            await self._learn(lacking)
            still = self._board.lacks(lacking)
            # Each sample is complete: the machine's next one makes up for it.
            samples = [sample for sample in samples if sample.layout not in still]
        changed = self._board.put(samples)
        strangers = changed - self._board.cards.keys()
        if not strangers <= self._unknown:
            self._unknown |= strangers
            self._check_soon.set()
        self._tell(changed - strangers)

    def _pass_on(self, event: Event) -> None:
        """Tell whoever may see the machine that something happened to an alert."""
        try:
            told = frames.read_news(event.payload)
        except frames.BadMessage as wrong:
            logger.error("live.unreadable_event", id=event.id, error=str(wrong))
            return
        machine = self._board.find(told.machine) if told.machine else None
        if told.machine and machine is None:
            return
        for watcher in self.fanout:
            watcher.hear_news(told.alert, machine, told.encoded)

    async def _learn(self, layouts: Collection[int]) -> None:
        if self._clock() < self._layouts_again_s:
            return
        try:
            self._board.learn(await database_sync_to_async(look.layouts_of)(layouts))
        except DatabaseDown as away:
            self._layouts_again_s = self._clock() + LAYOUTS_AGAIN_S
            logger.warning("live.layouts_unread", error=str(away))

    async def _load(self) -> None:
        """Read what is; keep what we have when the database is away."""
        try:
            found = await database_sync_to_async(look.at_everything)()
        except DatabaseDown:
            if not self._loaded.is_set():
                raise
            return
        self._board.learn(found.layouts)
        self._place(found.cards)
        self._tell(self._board.put(found.samples) & self._board.cards.keys())
        self._loaded.set()

    async def _load_without_bus(self) -> None:
        if self._loaded.is_set():
            return
        try:
            await self._load()
        except DatabaseDown as away:
            logger.warning("live.database_down", error=str(away))

    def _place(self, cards: dict[int, Card]) -> None:
        changed, gone = self._board.name(cards)
        self._unknown -= cards.keys()
        if gone:
            for watcher in self.fanout:
                lost = watcher.seen & gone.keys()
                names = [gone[pk].machine_id for pk in lost]
                watcher.see(watcher.seen - lost, names)
        self._tell(changed)

    def _tell(self, changed: set[int]) -> None:
        """Let the sockets know: at once after a quiet time, else at the interval."""
        if not changed:
            return
        self._changed |= changed
        if self._flushing is None:
            wait_s = self._last_flush_s + self._interval_s - self._clock()
            self._flushing = asyncio.get_running_loop().call_later(
                max(0.0, wait_s), self._flush
            )

    def _flush(self) -> None:
        self._flushing = None
        self._last_flush_s = self._clock()
        changed, self._changed = self._changed, set()
        self.fanout.tell(changed)

    async def _check_always(self) -> None:
        last_s = self._clock()
        while True:
            try:
                async with asyncio.timeout(self._check_s):
                    await self._check_soon.wait()
                await asyncio.sleep(last_s + SOONEST_CHECK_S - self._clock())
            except TimeoutError:
                pass
            self._check_soon.clear()
            last_s = self._clock()
            try:
                await self._check(list(self.fanout))
                self._tidy()
            except DatabaseDown as away:
                # Nobody can sign out meanwhile either.
                logger.warning("live.unchecked", error=str(away))
            except Exception:
                logger.exception("live.check_failed")

    async def _check(self, watchers: Iterable[Watcher]) -> None:
        """Ask again who may see what, and what the machines are called."""
        asked = {
            watcher: self._credentials[watcher]
            for watcher in watchers
            if watcher in self._credentials
        }
        look_again = database_sync_to_async(look.at_permits)
        cards, permits = await look_again(set(asked.values()))
        self._place(cards)
        for watcher, credential in asked.items():
            permit = permits[credential]
            if permit is None:
                watcher.close(Close.SIGNED_OUT)
            elif watcher in self._credentials:
                self._show(watcher, permit)

    def _show(self, watcher: Watcher, permit: Permit) -> None:
        cards = self._board.cards
        wanted = watcher.wanted
        watcher.is_limited = permit.is_limited
        pks = frozenset(
            pk
            for pk in permit.machines & cards.keys()
            if wanted is None or cards[pk].machine_id in wanted
        )
        lost = watcher.seen - pks
        watcher.see(pks, [cards[pk].machine_id for pk in lost if pk in cards])

    def _tidy(self) -> None:
        self._board.tidy()
        self._unknown.clear()
        for watcher in self.fanout:
            watcher.layouts &= self._board.layouts

    async def _pulse_always(self) -> None:
        while True:
            await asyncio.sleep(PULSE_S)
            down = self._events is None or self._events.down
            if down != self._down and self._loaded.is_set():
                self._down = down
                for watcher in self.fanout:
                    watcher.hurry()
                if not down:
                    await self._load()
            now_s = self._clock()
            for watcher in self.fanout:
                watcher.tend(now_s)

    def _now_ms(self) -> int:
        return int(self._now_s() * 1000)
