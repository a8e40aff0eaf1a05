"""The evaluation on an event loop: events in, events out, until cancelled."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from django.db import connections

from hub import metrics
from hub.alerts import news
from hub.alerts.engine import Engine, Happened, Turn
from hub.alerts.inquiry import Inquiry
from hub.alerts.models import Alert
from hub.alerts.state import Happening
from hub.events.bus import Bus
from hub.events.ending import end
from hub.events.event import (
    ALERTS_CHANGED,
    ALERTS_OPENED,
    ALERTS_RESOLVED,
    MACHINES_CHANGED,
    METRICS_RAW,
    RULES_CHANGED,
    BusDown,
    Event,
    Events,
)
from hub.log import get_logger
from hub.storage import states
from hub.storage.database import DatabaseDown
from hub.storage.sample import StoredSample, unpack

# Samples are judged together that came within this time.
GATHER_S = 0.25
# A minute of 1,000 machines at 5 s; beyond it the oldest are lost, counted. They
# are in the raw tier all the same: only the evaluation misses them.
MAX_WAITING = 12_000
# While the bus is away the newest samples are asked for.
POLL_S = 5.0
CLOSE_S = 2.0

TOPICS = {Happening.OPENED: ALERTS_OPENED, Happening.RESOLVED: ALERTS_RESOLVED}

log = get_logger(__name__)

Sleep = Callable[[float], Awaitable[None]]


@dataclass
class Waiting:
    """What has come and is not judged yet."""

    samples: deque[StoredSample] = field(
        default_factory=lambda: deque(maxlen=MAX_WAITING)
    )
    lost: int = 0
    rules_changed: bool = False
    machines_changed: bool = False

    def put(self, event: Event) -> None:
        if event.topic == RULES_CHANGED:
            self.rules_changed = True
        elif event.topic == MACHINES_CHANGED:
            self.machines_changed = True
        else:
            came = unpack(event.payload)
            self.lost += max(0, len(self.samples) + len(came) - MAX_WAITING)
            self.samples.extend(came)

    def take(self) -> Turn:
        turn = Turn(list(self.samples), self.rules_changed, self.machines_changed)
        self.samples.clear()
        self.rules_changed = self.machines_changed = False
        return turn


class Watch:
    """`run` it once."""

    def __init__(
        self,
        bus: Bus,
        *,
        engine: Engine | None = None,
        alive: Callable[[], None] = lambda: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.engine = engine or Engine()
        self.waiting = Waiting()
        self._bus, self._sleep = bus, sleep
        # Called after each turn that came to its end.
        self._alive = alive
        # One thread, and so one connection: the engine is not safe in several.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="alerts")
        self._is_heard = False
        self._polled_s = 0.0

    @property
    def hears(self) -> bool:
        """Whether events come; while they do not, the newest samples are asked for."""
        return self._is_heard and not self._events.down

    async def run(self) -> None:
        self._tell_metrics()
        listening = asyncio.create_task(self._listen(), name="alerts.listen")
        inquiring = asyncio.create_task(Inquiry(self._bus).run(), name="inquiry")
        try:
            while True:
                await self._turn()
                await self._sleep(GATHER_S)
        finally:
            await end([listening, inquiring])
            await self._close()

    def _tell_metrics(self) -> None:
        engine, waiting = self.engine, self.waiting
        metrics.JUDGED.follow(lambda: engine.judged)
        metrics.UNJUDGED.follow(lambda: len(waiting.samples))
        metrics.UNHEARD.follow(lambda: waiting.lost)
        metrics.OPEN.follow(engine.open_alerts)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._bus.subscribe(
                    METRICS_RAW, RULES_CHANGED, MACHINES_CHANGED
                ) as events:
                    await self._read(events)
            except BusDown as down:
                log.warning("alerts.no_events", error=str(down))
                self._is_heard = False
                await self._sleep(POLL_S)

    async def _read(self, events: Events) -> None:
        self._events = events
        self._is_heard = True
        # What was missed before: rules may have changed.
        self.waiting.rules_changed = True
        async for event in events:
            try:
                self.waiting.put(event)
            except ValueError as error:
                log.warning("alerts.event_refused", error=str(error), id=event.id)

    async def _turn(self) -> None:
        turn = self.waiting.take()
        loop = asyncio.get_running_loop()
        try:
            happened = await loop.run_in_executor(self._thread, self._work, turn)
        except DatabaseDown as down:
            log.warning("database.down", error=str(down))
        except Exception:
            # Whatever is wrong with one rule, the others must be looked at again.
            log.exception("alerts.failed")
            await self._sleep(1)
        else:
            self._alive()
            for alert, happening in happened:
                await self._announce(alert, happening)

    def _work(self, turn: Turn) -> Happened:
        if not self.hears and time.monotonic() - self._polled_s >= POLL_S:
            self._polled_s = time.monotonic()
            newest = states.latest()
            turn.samples = [*turn.samples, *newest.values()]
        happened = self.engine.turn(turn)
        if turn.samples:
            oldest_ms = min(sample.received_ms for sample in turn.samples)
            metrics.JUDGED_AFTER.observe(max(0.0, time.time() - oldest_ms / 1000))
        return happened

    async def _announce(self, alert: Alert, happening: Happening) -> None:
        """Tell the pages; the alert is in the database, they find it without us."""
        topic = TOPICS.get(happening, ALERTS_CHANGED)
        with suppress(BusDown):
            await self._bus.publish(news.event(topic, alert))
        log.info(topic, **news.fields(alert))

    async def _close(self) -> None:
        loop = asyncio.get_running_loop()
        leaving = loop.run_in_executor(self._thread, self._leave)
        # A database that hangs must not hold the process up: leases end.
        with suppress(TimeoutError, DatabaseDown):
            async with asyncio.timeout(CLOSE_S):
                await leaving
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _leave(self) -> None:
        try:
            self.engine.close()
        finally:
            connections.close_all()
