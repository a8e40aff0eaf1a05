"""An agent that is stopped says so, last, and is not held up by it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sysmonstm_agent import stream
from sysmonstm_agent.client import Client
from sysmonstm_proto import metrics_pb2 as pb

from tests.hub import Conversation, Hub
from tests.patience import PATIENCE_S, until
from tests.talking import MACHINE, config, spool_of
from tests.whole_hub import WholeHub, agent_of


async def ending(client: Client, ready: asyncio.Event, reason: str) -> float:
    """Begin, leave once the hub is ready, and return how long that took."""
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(client.run())
    await ready.wait()
    began_s = loop.time()
    assert client.leave(reason)
    await until(task.done)
    return loop.time() - began_s


def bodies(messages: list[pb.MetricsRequest]) -> list[str | None]:
    return [message.WhichOneof("body") for message in messages]


async def all_of(talk: Conversation) -> list[pb.MetricsRequest]:
    return [message async for message in talk._requests]


async def test_it_is_said_last_once_all_that_was_sent_is_acknowledged() -> None:
    order: list[str] = []
    ready = asyncio.Event()
    spool = spool_of(2)

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        assert await talk.sequences(2) == [1, 2]
        ready.set()
        await asyncio.sleep(0.2)
        order.append("acked")
        await talk.ack(2)
        # A busy hub: what was sent before the end must not be taken back.
        await asyncio.sleep(0.2)
        rest = await all_of(talk)
        order.extend(body or "" for body in bodies(rest))
        assert rest[-1].goodbye.reason == "stopped"

    async with Hub(script).serving() as hub:
        client = Client(config(hub.port), MACHINE, spool)
        took_s = await ending(client, ready, "stopped")

    assert order == ["acked", "goodbye"]
    assert took_s < stream.GOODBYE_S
    assert not spool.oldest


async def test_a_hub_that_does_not_acknowledge_hears_it_all_the_same() -> None:
    heard: list[pb.MetricsRequest] = []
    ready = asyncio.Event()
    spool = spool_of(1)

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        await talk.sequences(1)
        ready.set()
        heard.extend(await all_of(talk))

    async with Hub(script).serving() as hub:
        client = Client(config(hub.port), MACHINE, spool)
        took_s = await ending(client, ready, "stopped")

    assert bodies(heard) == ["goodbye"]
    assert stream.SETTLED_S <= took_s < stream.GOODBYE_S
    # It is sent again next time.
    assert spool.oldest == 1


async def test_who_only_comes_back_says_no_goodbye() -> None:
    heard: list[pb.MetricsRequest] = []
    ready = asyncio.Event()

    async def script(talk: Conversation) -> None:
        await talk.welcome()
        ready.set()
        heard.extend(await all_of(talk))

    async with Hub(script).serving() as hub:
        client = Client(config(hub.port), MACHINE, spool_of(0))
        await ending(client, ready, "")

    assert "goodbye" not in bodies(heard)


async def test_an_interval_that_changes_is_no_goodbye(tmp_path: Path) -> None:
    async with WholeHub().serving() as hub:
        async with agent_of(hub, tmp_path):
            wish = pb.AgentConfig(version=1, interval_ms=60_000)
            await hub.configs.wishes.put(wish)
            await until(lambda: len(hub.metrics.hellos) == 2)
            assert not hub.metrics.of("goodbye")
        goodbyes = hub.metrics.of("goodbye")

    assert [message.goodbye.reason for message in goodbyes] == ["stopped"]
    assert hub.metrics.heard[-1].HasField("goodbye")


async def test_a_hub_that_is_away_delays_nothing(tmp_path: Path) -> None:
    async with WholeHub().serving() as hub:
        async with agent_of(hub, tmp_path):
            await until(lambda: hub.metrics.hellos)
            await hub_stops(hub)
            loop = asyncio.get_running_loop()
            began_s = loop.time()
        assert loop.time() - began_s < PATIENCE_S / 2


async def hub_stops(hub: WholeHub) -> None:
    assert hub.server is not None
    await hub.server.stop(0)
