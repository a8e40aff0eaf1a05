"""What every long-running process does beside its work: watch its event loop, and
lay its numbers on the shelf where another process shows them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import orjson
from django.conf import settings
from prometheus_client import generate_latest

from hub import metrics
from hub.events.ending import end
from hub.health import dependencies, storing, trust
from hub.health.figures import recent
from hub.health.shelf import PREFIX, ShelfDown, get_shelf
from hub.log import get_logger

LAG_EVERY_S = 0.5
NOTE_EVERY_S = 10.0
SHARE_EVERY_S = 5.0
ASK_EVERY_S = 5.0
# Some missed turns; then the process is gone.
SHARED_S = 30.0

log = get_logger(__name__)

Sleep = Callable[[float], Awaitable[None]]


@asynccontextmanager
async def measuring(role: str) -> AsyncIterator[None]:
    """Measure this process for as long as the block lasts."""
    metrics.Role.name = role
    tasks = [asyncio.create_task(work) for work in jobs()]
    try:
        yield
    finally:
        await end(tasks)


def jobs() -> list[Coroutine[Any, Any, None]]:
    """Return what is to be run on the process's event loop."""
    found = [watch_loop(), take_notes(), watch_dependencies()]
    if settings.REDIS_URL:
        found.append(share())
    return found


async def watch_loop(sleep: Sleep = asyncio.sleep) -> None:
    """Observe how late the loop comes back."""
    clock = asyncio.get_running_loop().time
    while True:
        due_s = clock() + LAG_EVERY_S
        await sleep(LAG_EVERY_S)
        metrics.LOOP_LAG.observe(max(0.0, clock() - due_s))


async def take_notes(sleep: Sleep = asyncio.sleep) -> None:
    while True:
        recent.note()
        await sleep(NOTE_EVERY_S)


async def watch_dependencies(sleep: Sleep = asyncio.sleep) -> None:
    """Ask what the hub leans on, so that "away since" is true to a few seconds."""
    while True:
        try:
            await dependencies.findings()
        except Exception:
            # A probe that breaks must not end the watching of the others.
            log.exception("dependencies.unwatched")
        await sleep(ASK_EVERY_S)


async def share(sleep: Sleep = asyncio.sleep) -> None:
    """Lay this process's numbers down, again and again."""
    is_down = False
    while True:
        try:
            await asyncio.to_thread(tell, metrics.Role.name, lifetime_s=SHARED_S)
            is_down = False
        except ShelfDown as down:
            if not is_down:
                log.warning("metrics.unshared", error=str(down))
            is_down = True
        await sleep(SHARE_EVERY_S)


def tell(role: str, *, lifetime_s: float) -> None:
    """Lay this process's numbers down once. Raises ShelfDown."""
    place = metrics.Role.place
    told = {
        "role": role,
        "place": place,
        "text": generate_latest(metrics.registry).decode(),
        "figures": recent.figures(),
    }
    name = f"{PREFIX}{role}:{place}"
    get_shelf().put(name, orjson.dumps(told), lifetime_s=lifetime_s)
    if role == trust.LISTENER:
        storing.tell(lifetime_s=lifetime_s)
        trust.tell(lifetime_s=lifetime_s)


class Measured:
    """An ASGI application that is measured from its first call on.

    Daphne tells an application neither of its start nor of its end.
    """

    def __init__(self, application: Callable[..., Awaitable[None]]) -> None:
        self._application = application
        self._tasks: list[asyncio.Task[None]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if not self._tasks:
            self._tasks = [asyncio.create_task(work) for work in jobs()]
        await self._application(scope, receive, send)
