"""Threads of our own for what blocks: the database and Redis.

Not a ThreadPoolExecutor: the interpreter joins those at its end, so one call that
hangs in a dead network would hold up a shutdown that promised 15 seconds. These
are daemons; what they have not committed was never acknowledged.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

Job = Callable[[], None]


class Workers:
    """Some threads that take calls in turn; with one, calls never overlap."""

    def __init__(self, name: str, count: int = 1) -> None:
        # Each caller awaits its call: as many are waiting as there are callers.
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True)
            for n in range(count)
        ]
        for thread in self._threads:
            thread.start()

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run the function in a thread. Cancelling the await does not stop it."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                result = function(*args)
            except BaseException as error:  # noqa: BLE001 - told to the caller
                _tell(loop, _fail, done, error)
            else:
                _tell(loop, _succeed, done, result)

        self._jobs.put(job)
        return await done

    async def close(self, *, within_s: float = 0.5) -> bool:
        """End the threads after the calls they have; False: one is still busy."""
        for _ in self._threads:
            self._jobs.put(None)
        deadline = asyncio.get_running_loop().time() + within_s
        while any(thread.is_alive() for thread in self._threads):
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.005)
        return True

    def _work(self) -> None:
        # Each thread has its own connections; nobody else can close them.
        from django.db import connections

        while (job := self._jobs.get()) is not None:
            job()
        connections.close_all()


def _tell(
    loop: asyncio.AbstractEventLoop, how: Callable[..., None], *args: object
) -> None:
    try:
        loop.call_soon_threadsafe(how, *args)
    except RuntimeError:
        # The loop is closed: the process is ending, nobody is waiting.
        return


def _succeed(done: asyncio.Future[T], result: T) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[T], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
