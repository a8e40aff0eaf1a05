from __future__ import annotations

import asyncio

from hub.events.ending import end
from hub.testing.patience import PATIENCE_S


async def test_a_task_that_swallows_a_cancellation_is_ended_all_the_same() -> None:
    heard = 0

    async def deaf() -> None:
        nonlocal heard
        while heard < 3:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                heard += 1

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_S):
        await end([task])

    assert task.done()
    assert heard == 3


async def test_what_an_ended_task_raises_is_dropped() -> None:
    async def failing() -> None:
        raise ValueError

    task = asyncio.create_task(failing())
    await asyncio.sleep(0)

    await end([task])

    assert task.done()
