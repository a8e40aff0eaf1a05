"""What one subscriber has not read yet."""

from __future__ import annotations

import asyncio
from collections import deque

from hub.events.event import Event

# About half a minute of batches; whoever is later than that wants the newest.
MAX_EVENTS = 1000
MAX_BYTES = 32 * 2**20


class Inbox:
    """A bounded queue that loses the oldest, and belongs to one event loop."""

    def __init__(
        self, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES
    ) -> None:
        self.lost = 0
        self.down = False
        self._max_events, self._max_bytes = max_events, max_bytes
        self._events: deque[Event] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> Inbox:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            self._filled.clear()
            await self._filled.wait()
        return self._pop()

    def put(self, event: Event) -> None:
        """Add an event; call it on the inbox's own loop."""
        self._events.append(event)
        self._bytes += len(event.payload)
        while len(self._events) > self._max_events or (
            self._bytes > self._max_bytes and len(self._events) > 1
        ):
            self._pop()
            self.lost += 1
        self._filled.set()

    def put_from_anywhere(self, event: Event) -> None:
        """Add an event from any thread; a reader whose loop ended hears nothing."""
        if self._loop.is_closed():
            return
        if _running_loop() is self._loop:
            self.put(event)
        else:
            self._loop.call_soon_threadsafe(self.put, event)

    def _pop(self) -> Event:
        event = self._events.popleft()
        self._bytes -= len(event.payload)
        return event


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
