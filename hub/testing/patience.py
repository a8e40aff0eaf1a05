"""How long a test waits for what it expects: long, since that costs nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE_S = 60.0


async def until(holds: Callable[[], object]) -> None:
    """Return once it holds, which the event loop is let go on for."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - whoever makes it true tells nobody
            await asyncio.sleep(0.01)


async def until_found(asked: Callable[[], Awaitable[Found | None]]) -> Found:
    """The same for what has to be asked for; return it."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await asked()):  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)
    return found


def wait_until(holds: Callable[[], object]) -> None:
    """The same where no event loop runs."""
    ends_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < ends_s
        time.sleep(0.01)
