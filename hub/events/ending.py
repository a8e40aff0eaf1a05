"""Ending tasks that may not hear it the first time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 0.05


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and return when they have ended; what they raise is dropped.

    Again and again: Python 3.11's wait_for, inside the Redis client, swallows a
    cancellation that comes just when a command has been sent (gh-86296).
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        ended, running = await asyncio.wait(running, timeout=AGAIN_S)
        for task in ended:
            if not task.cancelled():
                # Asked for, so that nobody complains that it never was.
                task.exception()
