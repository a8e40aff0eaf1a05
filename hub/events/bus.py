"""The one interface to events, and the process's own bus."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from django.conf import settings

from hub.events.event import Event, Events
from hub.events.memory import MemoryBus


class Bus(Protocol):
    async def publish(self, event: Event) -> None:
        """Tell everyone. Returns once this process cannot lose the event.

        Raises BusDown (temporary) within 2 s when the broker does not take it.
        """

    def subscribe(
        self, *topics: str, group: str = ""
    ) -> AbstractAsyncContextManager[Events]:
        """Listen from the moment the block is entered; in order in each topic.

        Without `group` every subscriber hears every event, and a slow one
        loses the oldest, counted. With it each event reaches one member, and
        is kept until the next one is asked for: when a member dies before
        that, another gets it. After MAX_DELIVERIES it goes to the topic
        `dead(topic)`. A group remembers what it has not heard while nobody
        is there, within the bus's bounds.

        Entering raises BusDown; later breaks heal by themselves (`down`).
        """

    async def ready(self) -> None:
        """Raise BusDown within 2 s unless events can pass."""

    async def close(self) -> None:
        """Let go of what this event loop holds."""


_bus: Bus | None = None


def get_bus() -> Bus:
    """Return the process's bus, the same for every event loop."""
    global _bus
    if _bus is None:
        _bus = _make(settings.REDIS_URL)
    return _bus


def set_bus(bus: Bus | None) -> None:
    """Put another bus in place; None: make one again from the settings."""
    global _bus
    _bus = bus


def _make(redis_url: str) -> Bus:
    if not redis_url:
        return MemoryBus()
    # A hub in one process starts faster without the Redis client.
    from hub.events.redis_streams import RedisStreamsBus

    return RedisStreamsBus(redis_url)
