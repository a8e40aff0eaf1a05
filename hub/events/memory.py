"""The bus within one process."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from hub.events.event import Event, Events
from hub.events.inbox import MAX_EVENTS, Inbox
from hub.events.memory_group import Group, Member


class MemoryBus:
    """Tells subscribers on any event loop or thread of this process.

    `max_events` bounds what each slow subscriber, and each group, may have
    waiting; beyond it the oldest is lost and counted.
    """

    def __init__(self, *, max_events: int = MAX_EVENTS) -> None:
        self._max_events = max_events
        self._lock = threading.Lock()
        self._number = 0
        # Replaced, never changed: publishers on other threads walk over them.
        self._inboxes: dict[str, tuple[Inbox, ...]] = {}
        self._groups: dict[str, tuple[Group, ...]] = {}

    async def publish(self, event: Event) -> None:
        self._tell(event)

    def _tell(self, event: Event) -> None:
        # One at a time, so that all subscribers agree about the order.
        with self._lock:
            self._number += 1
            event = Event(event.topic, event.payload, str(self._number))
            for inbox in self._inboxes.get(event.topic, ()):
                inbox.put_from_anywhere(event)
            for group in self._groups.get(event.topic, ()):
                group.put(event)

    def subscribe(
        self, *topics: str, group: str = ""
    ) -> AbstractAsyncContextManager[Events]:
        return self._join(topics, group) if group else self._listen(topics)

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        return

    @asynccontextmanager
    async def _listen(self, topics: tuple[str, ...]) -> AsyncIterator[Inbox]:
        inbox = Inbox(max_events=self._max_events)
        with self._lock:
            for topic in topics:
                self._inboxes[topic] = (*self._inboxes.get(topic, ()), inbox)
        try:
            yield inbox
        finally:
            with self._lock:
                for topic in topics:
                    rest = (one for one in self._inboxes[topic] if one is not inbox)
                    self._inboxes[topic] = tuple(rest)

    @asynccontextmanager
    async def _join(self, topics: tuple[str, ...], name: str) -> AsyncIterator[Member]:
        with self._lock:
            groups = [self._group(topic, name) for topic in topics]
        member = Member(groups, bury=self._tell)
        try:
            yield member
        finally:
            member.leave()

    def _group(self, topic: str, name: str) -> Group:
        known = self._groups.get(topic, ())
        for group in known:
            if group.name == name:
                return group
        group = Group(name, limit=self._max_events)
        self._groups[topic] = (*known, group)
        return group
