"""Short questions to the database, asked from the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import close_old_connections

from hub.ingest.breaker import breaker
from hub.ingest.workers import Workers
from hub.storage.database import DatabaseDown, guard

T = TypeVar("T")

# For Hello, layouts and states; the writer has a thread of its own.
THREADS = 4

# A database that hangs holds a thread for longer, but nobody who waits for it.
WITHIN_S = 5.0


class Lookups:
    """Threads with connections, a deadline, and a breaker before them."""

    def __init__(self, *, within_s: float = WITHIN_S) -> None:
        self._within_s = within_s
        self._workers = Workers("lookup", THREADS)
        self._breaker = breaker()
        # A thousand agents that come back at once wait here, and not in the time
        # that the database has for its answer.
        self._turns = asyncio.Semaphore(THREADS)

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run the function in a thread; raises DatabaseDown and what it raises."""
        async with self._turns:
            if self._breaker.open:
                raise DatabaseDown("the database did not answer a moment ago")
            try:
                async with asyncio.timeout(self._within_s):
                    found: T = await self._workers.call(
                        _with_connection, function, *args
                    )
            except TimeoutError as silent:
                self._breaker.failed()
                raise DatabaseDown("the database does not answer") from silent
            except DatabaseDown:
                self._breaker.failed()
                raise
            self._breaker.succeeded()
            return found

    async def close(self) -> None:
        await self._workers.close()


def _with_connection(function: Callable[..., T], *args: Any) -> T:
    """Run with a live connection, and give it back: no request ends here."""
    close_old_connections()
    try:
        with guard():
            return function(*args)
    finally:
        close_old_connections()
