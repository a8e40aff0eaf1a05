"""Questions and answers between processes: the Channels layer, kept at arm's length.

Every process that serves agents hears every question, and the one that holds the
machine's line says "taken" at once. So nobody waits for a machine that is not there,
and no process subscribes to something for each of its agents.

In memory the layer belongs to one event loop: others hand their question over to it.
With Redis each loop has its own connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from channels.layers import get_channel_layer
from cryptography.fernet import InvalidToken
from django.conf import settings
from msgpack.exceptions import UnpackException  # type: ignore[import-untyped]
from redis.exceptions import RedisError

from hub.events.patience import waits
from hub.log import get_logger

log = get_logger(__name__)

T = TypeVar("T")
Message = dict[str, Any]

GROUP = "control.commands"
# What a broker that answers at all needs for one of our small messages.
DEADLINE_S = 2.0

# What is not sealed with our key, or no message at all: somebody else's writing.
UNREADABLE = (InvalidToken, UnpackException, ValueError, TypeError)

# The loop that serves agents, where the layer is in memory.
_home: asyncio.AbstractEventLoop | None = None


class PostDown(Exception):
    """Messages cannot pass between processes now (temporary)."""


class NobodyListens(Exception):
    """No process here serves agents (temporary)."""


def at_home(work: Callable[[], Awaitable[T]]) -> Awaitable[T]:
    """Run something on the loop that the layer belongs to. Raises NobodyListens."""
    if settings.REDIS_URL:
        return work()
    home = _home
    if home is None or home.is_closed():
        raise NobodyListens
    if home is asyncio.get_running_loop():
        return work()
    return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_wrapped(work), home))


async def _wrapped(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


async def in_time(work: Awaitable[T], deadline_s: float = DEADLINE_S) -> T:
    """Wait for the layer as long as it is worth; raises PostDown.

    Its clients hold locks and may swallow a cancellation, so the work is left
    behind rather than waited for.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=deadline_s)
    except asyncio.CancelledError:
        task.cancel()
        task.add_done_callback(_forget)
        raise
    if not done:
        task.cancel()
        task.add_done_callback(_forget)
        raise PostDown("no answer in time")
    try:
        return task.result()
    except Exception as away:
        # The layer's tasks share a connection, and when one of them closes it the
        # others stumble, with errors of any kind.
        raise PostDown(str(away) or type(away).__name__) from away


def _forget(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        # Asked for, so that nobody complains that it never was.
        task.exception()


async def open_box() -> str:
    """Return the name of a channel for answers; nobody can guess it."""
    return str(await in_time(_layer().new_channel("control.answers.")))


async def receive(box: str, deadline_s: float) -> Message:
    """Return the next message; raises TimeoutError."""
    task = asyncio.ensure_future(_next(box))
    try:
        done, _ = await asyncio.wait({task}, timeout=deadline_s)
        if not done:
            raise TimeoutError
        return task.result() or {}
    finally:
        if not task.done():
            # Cancelled, it unsubscribes.
            task.cancel()
            task.add_done_callback(_forget)


async def send(box: str, message: Message) -> None:
    """Answer; raises PostDown."""
    await in_time(_layer().send(box, message))


async def tell_all(message: Message) -> None:
    """Ask every process that serves agents; raises PostDown."""
    await in_time(_layer().group_send(GROUP, message))


async def listen(heard: Callable[[Message], None]) -> None:
    """Call `heard` with each question, until cancelled."""
    global _home
    _home = asyncio.get_running_loop()
    pauses = waits()
    try:
        while True:
            try:
                box = str(await in_time(_layer().new_channel("control.")))
                await in_time(_layer().group_add(GROUP, box))
                pauses = waits()
                while True:
                    if (message := await _next(box)) is not None:
                        heard(message)
            except Exception as away:  # noqa: BLE001 - see `in_time`
                log.warning("control.deaf", error=str(away) or type(away).__name__)
            await asyncio.sleep(next(pauses))
    finally:
        _home = None


async def _next(box: str) -> Message | None:
    """Return what came; None = nobody of ours has written it."""
    try:
        return dict(await _layer().receive(box))
    except UNREADABLE as strange:
        log.warning("control.unreadable", error=type(strange).__name__)
        return None


def _layer() -> Any:
    return get_channel_layer()


def _is_news(record: logging.LogRecord) -> bool:
    """Who ends while Redis is away cannot give up a channel, nor has it any more."""
    error = record.exc_info[1] if record.exc_info else None
    is_farewell = "cleaning-up channel" in str(record.msg)
    return not (is_farewell and isinstance(error, (RedisError, OSError)))


# The layer tells of it with a traceback.
logging.getLogger("channels_redis.pubsub").addFilter(_is_news)
