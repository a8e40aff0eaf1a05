from __future__ import annotations

import asyncio
import threading

from hub.events.event import Event
from hub.events.inbox import Inbox
from hub.testing.patience import PATIENCE_S


async def test_the_oldest_goes_when_the_bytes_are_too_many() -> None:
    inbox = Inbox(max_events=100, max_bytes=10)

    for payload in (b"aaaa", b"bbbb", b"cccc"):
        inbox.put(Event("t", payload))

    assert (await anext(inbox)).payload == b"bbbb"
    assert inbox.lost == 1


async def test_one_event_is_kept_however_large() -> None:
    inbox = Inbox(max_events=100, max_bytes=10)

    inbox.put(Event("t", b"small"))
    inbox.put(Event("t", b"larger than everything"))

    assert (await anext(inbox)).payload == b"larger than everything"
    assert inbox.lost == 1


async def test_reading_makes_room() -> None:
    inbox = Inbox(max_events=1, max_bytes=10)

    for payload in (b"aaaaaa", b"bbbbbb"):
        inbox.put(Event("t", payload))
        assert (await anext(inbox)).payload == payload

    assert inbox.lost == 0


async def test_an_event_from_another_thread_wakes_the_reader() -> None:
    inbox = Inbox()
    told = Event("t", b"1")
    reading = asyncio.create_task(anext_of(inbox))
    await asyncio.sleep(0)

    threading.Thread(target=inbox.put_from_anywhere, args=(told,)).start()

    async with asyncio.timeout(PATIENCE_S):
        assert await reading == told


async def anext_of(inbox: Inbox) -> Event:
    return await anext(inbox)


def test_a_reader_whose_loop_has_ended_hears_nothing() -> None:
    async def made() -> Inbox:
        return Inbox()

    with asyncio.Runner() as runner:
        inbox = runner.run(made())

    inbox.put_from_anywhere(Event("t", b"1"))

    assert inbox.lost == 0
