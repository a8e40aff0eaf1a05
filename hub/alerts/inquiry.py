"""Asks which processes were behind an alert that has opened, and keeps the answer.

    an alert opens    what hot state has is attached at once; unless that is from
                      the very moment, the machine is asked for what it has kept
    a snapshot comes  asked for or not: the machine's young alerts get it

Of several processes one does it, whichever hears the event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any, NamedTuple

import orjson
from django.db import connections
from django.utils import timezone

from hub.alerts import culprit, news
from hub.alerts.models import Alert
from hub.events.bus import Bus
from hub.events.event import (
    ALERTS_CHANGED,
    ALERTS_OPENED,
    PROCESSES_ASK,
    PROCESSES_SEEN,
    BusDown,
    Event,
    Events,
)
from hub.log import get_logger
from hub.storage.database import DatabaseDown, guard
from hub.storage.hot import HotDown, get_hot

log = get_logger(__name__)

GROUP = "inquiry"
# So near to the moment there is nothing better to be had.
GOOD_MS = 2_500
# An alert that is older keeps what it has.
YOUNG = timedelta(seconds=60)
PAUSE_S = 5.0

Sleep = Callable[[float], Awaitable[None]]


class Found(NamedTuple):
    """What is to be told: alerts that changed, and a question."""

    changed: tuple[Alert, ...] = ()
    question: dict[str, int] | None = None


class Inquiry:
    """`run` it once."""

    def __init__(self, bus: Bus, *, sleep: Sleep = asyncio.sleep) -> None:
        self._bus, self._sleep = bus, sleep
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inquiry")

    async def run(self) -> None:
        try:
            while True:
                try:
                    async with self._bus.subscribe(
                        ALERTS_OPENED, PROCESSES_SEEN, group=GROUP
                    ) as events:
                        await self._read(events)
                except BusDown as down:
                    log.debug("inquiry.deaf", error=str(down))
                await self._sleep(PAUSE_S)
        finally:
            self._thread.submit(connections.close_all)
            self._thread.shutdown(wait=False)

    async def _read(self, events: Events) -> None:
        loop = asyncio.get_running_loop()
        async for event in events:
            try:
                found = await loop.run_in_executor(self._thread, look, event)
            except (DatabaseDown, HotDown) as down:
                # An alert without its processes is an alert all the same.
                log.warning("inquiry.missed", topic=event.topic, error=str(down))
                continue
            except Exception:
                # The next alert must be looked at again.
                log.exception("inquiry.failed", topic=event.topic)
                continue
            await self._tell(found)

    async def _tell(self, found: Found) -> None:
        events = [news.event(ALERTS_CHANGED, alert) for alert in found.changed]
        if found.question:
            events.append(Event(PROCESSES_ASK, orjson.dumps(found.question)))
        with suppress(BusDown):
            for event in events:
                await self._bus.publish(event)


def look(event: Event) -> Found:
    """Do what an event calls for. Raises DatabaseDown, HotDown."""
    with guard():
        told = orjson.loads(event.payload)
        if event.topic == ALERTS_OPENED:
            return opened(told["alert"])
        return seen(told["pk"])


def opened(alert: int) -> Found:
    """Attach what is known already; ask for what may be better."""
    found = next(iter(_alerts(pk=alert)), None)
    if found is None or found.machine_id is None or culprit.rank_of(found) is None:
        return Found()
    known = get_hot().processes(found.machine_id)
    changed = (found,) if culprit.attach(found, known) else ()
    began_ms, best = culprit.onset_ms(found), culprit.choose(found, known)
    if best is not None and best.distance_ms(began_ms) <= GOOD_MS:
        return Found(changed)
    question = {
        "machine": found.machine_id,
        "around_ms": began_ms,
        "request": found.pk,
    }
    return Found(changed, question)


def seen(machine: int) -> Found:
    """Attach what a machine has sent to its young alerts."""
    young = timezone.now() - YOUNG
    alerts = [
        alert
        for alert in _alerts(machine=machine, opened_at__gte=young)
        if culprit.rank_of(alert) is not None
    ]
    if not alerts:
        return Found()
    known = get_hot().processes(machine)
    return Found(tuple(alert for alert in alerts if culprit.attach(alert, known)))


def _alerts(**wanted: Any) -> list[Alert]:
    return list(Alert.objects.filter(**wanted).select_related("machine")[:100])
