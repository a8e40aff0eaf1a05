"""Wait for what blocks without holding the event loop up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(name: str, function: Callable[[], T]) -> T:
    """Run it on a thread of its own, and return or raise what it does.

    A daemon, unlike those of an executor: where the kernel does not come back from
    a read, the agent still ends. Cancelling stops the waiting, not the thread.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(value)  # type: ignore[arg-type]

    def run() -> None:
        value, failure = None, None
        try:
            value = function()
        # It is raised again by whoever waits.
        except Exception as error:  # noqa: BLE001
            failure = error
        # The loop may be gone by now.
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
