"""What happens when Redis is away, dies, swallows packets, and comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from hub.events.event import BusDown, Event
from hub.events.redis_streams import RedisStreamsBus
from hub.testing.install import SERVICES
from hub.testing.packages import environment
from hub.testing.patience import PATIENCE_S
from hub.testing.processes import free_port, running

Start = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(port: int, tmp_path: Path) -> Start:
    """Start an empty Redis; it is killed, not asked, when the block ends."""
    tree = SERVICES / "redis"
    argv: list[str | Path] = [
        tree / "usr/bin/redis-server",
        "--port",
        str(port),
        "--save",
        "",
    ]
    log = tmp_path / "redis.log"

    @contextmanager
    def server() -> Iterator[None]:
        log.unlink(missing_ok=True)
        with running(*argv, "--dir", tmp_path, log=log, env=environment(tree)) as redis:
            redis.wait_for_line("Ready to accept conn", within_s=PATIENCE_S)
            yield
            redis.stop(within_s=0)

    return server


async def until_told(bus: RedisStreamsBus, event: Event) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await bus.publish(event)
            except BusDown:
                await asyncio.sleep(0.05)


@pytest.mark.production_only
async def test_a_watcher_survives_two_restarts(port: int, start: Start) -> None:
    bus = RedisStreamsBus(f"redis://127.0.0.1:{port}/0")
    with start():
        listening = bus.subscribe("t")
        events = await listening.__aenter__()

    for number in (b"1", b"2"):
        with pytest.raises(BusDown):
            await bus.publish(Event("t", b"into the void"))
        async with asyncio.timeout(PATIENCE_S):
            while not events.down:  # noqa: ASYNC110 - the bus says it only so
                await asyncio.sleep(0.01)
        with start():
            await until_told(bus, Event("t", number))
            async with asyncio.timeout(PATIENCE_S):
                assert (await anext(events)).payload == number
            assert not events.down

    await listening.__aexit__(None, None, None)
    await bus.close()


@pytest.mark.production_only
async def test_a_group_survives_a_redis_that_forgot_it(port: int, start: Start) -> None:
    bus = RedisStreamsBus(f"redis://127.0.0.1:{port}/0")
    with start():
        working = bus.subscribe("t", group="engine")
        events = await working.__aenter__()
        await bus.publish(Event("t", b"before"))
        assert (await anext(events)).payload == b"before"

    with start():
        await until_told(bus, Event("t", b"told while the member was away"))
        async with asyncio.timeout(PATIENCE_S):
            event = await anext(events)
        assert event.payload == b"told while the member was away"

        await working.__aexit__(None, None, None)
        await bus.close()


async def test_nobody_there_is_told_as_bus_down(port: int) -> None:
    bus = RedisStreamsBus(f"redis://127.0.0.1:{port}/0")

    with pytest.raises(BusDown):
        await bus.publish(Event("t", b"1"))
    with pytest.raises(BusDown):
        await bus.ready()
    for group in ("", "engine"):
        with pytest.raises(BusDown):
            await bus.subscribe("t", group=group).__aenter__()
    await bus.close()


async def test_a_silent_broker_costs_one_publisher_two_seconds_and_others_nothing() -> (
    None
):
    async def swallow(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    address = "redis://{}:{}/0".format(*server.sockets[0].getsockname())
    bus = RedisStreamsBus(address)

    began = time.monotonic()
    with pytest.raises(BusDown):
        await bus.publish(Event("t", b"1"))
    waited = time.monotonic() - began
    with pytest.raises(BusDown, match="a moment ago"):
        await bus.publish(Event("t", b"2"))
    at_once = time.monotonic() - began - waited

    # Two seconds are promised; a busy machine gets more.
    assert waited < 20
    # It has not waited at all.
    assert at_once < 2
    await bus.close()
    server.close()
    await server.wait_closed()
