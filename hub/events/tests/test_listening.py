from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from hub.events.bus import Bus
from hub.events.ending import end
from hub.events.event import BusDown, Event, Events
from hub.events.listening import LONGEST_S, listen
from hub.events.memory import MemoryBus
from hub.testing.patience import PATIENCE_S


class Heard:
    """What a listener got; waits for it."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.began = asyncio.Event()
        self._more = asyncio.Event()

    def __call__(self, event: Event) -> None:
        if event.payload.startswith(b"garbled"):
            raise ValueError("not one of ours")
        if event.payload.startswith(b"fatal"):
            raise RuntimeError("nobody has thought of it")
        self.payloads.append(event.payload)
        self._more.set()

    async def count(self, wanted: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.payloads) < wanted:
                self._more.clear()
                await self._more.wait()


class Away(MemoryBus):
    """Breaks off, as Redis does, when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = True
        self.tries = asyncio.Semaphore(0)

    def subscribe(
        self, *topics: str, group: str = ""
    ) -> AbstractAsyncContextManager[Events]:
        return self._try(super().subscribe(*topics))

    @asynccontextmanager
    async def _try(
        self, within: AbstractAsyncContextManager[Events]
    ) -> AsyncIterator[Events]:
        self.tries.release()
        if self.is_away:
            raise BusDown("away")
        async with within as events:
            yield events


def listener(bus: Bus, topic: str, heard: Heard) -> asyncio.Task[None]:
    return asyncio.create_task(
        listen(bus, topic, heard, name="test", began=heard.began.set)
    )


async def test_what_is_garbled_is_told_and_the_next_one_heard(
    bus: Bus, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard()
    task = listener(bus, topic, heard)
    async with asyncio.timeout(PATIENCE_S):
        await heard.began.wait()

    for payload in (b"garbled", b"fatal", b"fine"):
        await bus.publish(Event(topic, payload))
    await heard.count(1)

    assert heard.payloads == [b"fine"]
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [(level, "garbled" in text) for level, text in said] == [
        ("WARNING", True),
        ("ERROR", False),
    ]
    await end([task])
    await bus.close()


async def test_it_says_when_it_hears_anew() -> None:
    bus, heard = Away(), Heard()
    task = listener(bus, "topic", heard)
    await bus.tries.acquire()
    await bus.tries.acquire()
    assert not heard.began.is_set()

    bus.is_away = False
    async with asyncio.timeout(PATIENCE_S):
        await heard.began.wait()

    await bus.publish(Event("topic", b"fine"))
    await heard.count(1)
    await end([task])


async def test_it_tries_again_at_uneven_times_and_never_waits_long() -> None:
    pauses: list[float] = []
    many = asyncio.Event()

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 30:
            many.set()
        await asyncio.sleep(0)

    task = asyncio.create_task(
        listen(Away(), "topic", Heard(), name="test", sleep=sleep)
    )
    await many.wait()
    await end([task])

    assert pauses[0] <= 0.1
    assert all(LONGEST_S / 2 <= pause <= LONGEST_S for pause in pauses[10:])
    assert len(set(pauses[10:])) > 10


async def test_it_ends_while_it_waits_for_the_bus() -> None:
    bus = Away()
    task = listener(bus, "topic", Heard())
    await bus.tries.acquire()

    async with asyncio.timeout(PATIENCE_S):
        await end([task])

    assert task.cancelled()
