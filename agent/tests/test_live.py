"""What is said in passing: the newest sample ahead of a backlog, and the account."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from sysmonstm_agent import stream
from sysmonstm_agent.memory_spool import MemorySpool
from sysmonstm_proto import metrics_pb2 as pb

from tests.hub import Conversation
from tests.patience import until
from tests.talking import TWO, for_ever, playing, sample, spool_of


def bodies(messages: list[pb.MetricsRequest]) -> list[str | None]:
    return [message.WhichOneof("body") for message in messages]


async def test_the_newest_is_shown_ahead_of_a_backlog() -> None:
    count = stream.BATCH_SAMPLES + 44
    heard: list[pb.MetricsRequest] = []

    async def script(talk: Conversation) -> None:
        await talk.welcome(window=10_000)
        heard.extend([await talk.any() for _ in range(5)])

    spool = spool_of(count - 1)
    spool.append(sample(TWO))
    async with playing(spool, script, for_ever) as (hub, _):
        await until(lambda: hub.streams == 2)

    assert bodies(heard) == ["layout", "live", "account", "layout", "samples"]
    assert heard[1].live.sequence == count
    # It has the layout that was sent just before it, and its own number's place.
    assert heard[1].live.layout == heard[0].layout.id
    assert len(heard[0].layout.series) == len(TWO.series)
    assert [one.sequence for one in heard[4].samples.samples] == [
        *range(1, stream.BATCH_SAMPLES + 1)
    ]


async def test_with_the_window_full_each_tick_is_shown_once_and_stored_later() -> None:
    live: list[int] = []
    spool = spool_of(2)
    client_woken = asyncio.Event()

    async def script(talk: Conversation) -> None:
        await talk.welcome(window=2)
        assert await talk.sequences(2) == [1, 2]
        client_woken.set()
        while len(live) < 3:
            live.append((await talk.next("live")).live.sequence)
        await talk.ack(2)
        assert await talk.sequences(2) == [3, 4]
        await talk.ack(4)
        assert await talk.sequences(1) == [5]

    async with playing(spool, script, for_ever) as (hub, client):
        await client_woken.wait()
        for number in (3, 4, 5):
            spool.append(sample())
            # Woken more often than there are ticks.
            for _ in range(3):
                client.wake()
                await asyncio.sleep(0.01)
            await until(partial(live.__contains__, number))
        await until(lambda: hub.streams == 2)

    assert live == [3, 4, 5]


async def test_a_sample_that_can_travel_in_order_is_not_shown_twice() -> None:
    heard: list[pb.MetricsRequest] = []

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        while len(heard) < 5:
            heard.append(await talk.any())
            for one in heard[-1].samples.samples:
                await talk.ack(one.sequence)

    spool = spool_of(0)
    async with playing(spool, script, for_ever) as (hub, client):
        for _ in range(3):
            spool.append(sample())
            client.wake()
            await until(lambda: not spool.oldest)
        await until(lambda: hub.streams == 2)

    assert bodies(heard) == ["account", "layout", "samples", "samples", "samples"]


async def test_the_account_follows_the_welcome() -> None:
    heard: list[pb.Account] = []

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        heard.append((await talk.next("account")).account)

    spool = MemorySpool(capacity_bytes=3 * (4 + 160))
    for _ in range(8):
        spool.append(sample())
    async with playing(spool, script, for_ever) as (hub, _):
        await until(lambda: hub.streams == 2)

    assert heard == [
        pb.Account(
            produced=8,
            evicted=5,
            oldest_sequence=6,
            spool_bytes=3 * 164,
            degraded="Samples wait in memory only: a restart of the agent loses them.",
        )
    ]


async def test_the_account_comes_again_when_it_has_changed_but_not_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "ACCOUNT_S", 0.4)
    loop = asyncio.get_running_loop()
    told: list[tuple[float, int]] = []

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        while len(told) < 3:
            account = (await talk.next_of("account")).account
            told.append((loop.time(), account.produced))

    spool = spool_of(1)
    async with playing(spool, script, for_ever) as (hub, client):
        while hub.streams < 2:
            spool.append(sample())
            client.wake()
            await asyncio.sleep(0.01)

    times = [at_s for at_s, _ in told]
    # Twice as long; what came late may have been followed early.
    assert times[2] - times[0] > 0.4
    produced = [count for _, count in told]
    assert produced == sorted(set(produced))


async def test_a_kill_that_took_numbers_back_begins_a_new_epoch() -> None:
    """The cursor is within what was given since, and yet beyond what may be."""
    spool = spool_of(5)
    spool.read(0, 2)
    epochs: list[bytes] = []

    async def ahead(talk: Conversation) -> None:
        epochs.append((await talk.welcome(cursor=4)).spool_epoch)

    async def fresh(talk: Conversation) -> None:
        epochs.append((await talk.welcome()).spool_epoch)
        # What the hub had under this epoch is not sent again; what is new is.
        assert await talk.sequences(3) == [1, 2, 3]

    async with playing(spool, ahead, fresh, for_ever) as (hub, _):
        await until(lambda: hub.streams == 3)

    assert epochs[0] != epochs[1]
