"""The database or Redis away, really: what goes on, and that nothing is lost."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, LiteralString, NamedTuple

import grpc
import psycopg
import pytest
import redis as redis_client
from sysmonstm_proto import metrics_pb2 as pb

from hub.events.event import METRICS_RAW
from hub.events.redis_streams import RedisStreamsBus
from hub.ingest.tests import wire
from hub.rpc.tests.agent import Agent, agent
from hub.rpc.tests.test_grpcserve import ROOT, environment, serving
from hub.storage import layouts
from hub.storage.hot_redis import RedisHot
from hub.storage.sample import unpack
from hub.testing import prepared
from hub.testing.processes import Process
from hub.testing.services import redis
from hub.testing.unruly import Unruly, unruly_postgres, unruly_redis

pytestmark = [pytest.mark.process, pytest.mark.lasts]

PG_READY, REDIS_READY = "ready to accept conn", "Ready to accept conn"

# `bench outage` says how long the live view really stands still: some seconds.
SHOWN_S = 30.0
BACK_S = 90.0
# Ten samples that each waited for a Redis that says nothing would take longer.
DELAY_S = 15


class Hub(NamedTuple):
    """A hub on servers that can be treated badly."""

    env: dict[str, str]
    folder: Path
    database: Unruly
    database_url: str
    redis: Unruly
    redis_url: str

    def serving(self) -> Any:
        return serving(self.env, self.folder)

    def stored(self) -> list[int]:
        with psycopg.connect(self.database_url) as connection:
            rows = connection.execute(
                "SELECT sequence FROM storage_sample ORDER BY sequence"
            )
            return [row[0] for row in rows]

    def mounts(self) -> list[tuple[list[str], int]]:
        """Return what layouts say that have samples, and how many; fewest first."""
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(
                "SELECT array_agg(attributes ->> 'mountpoint' ORDER BY position), n"
                " FROM storage_layoutseries JOIN (SELECT layout_id, count(*) n"
                " FROM storage_sample GROUP BY 1) used USING (layout_id)"
                " GROUP BY layout_id, n ORDER BY count(*)"
            ).fetchall()

    def execute(self, statement: LiteralString) -> None:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("degradation")
    with redis() as redis_url, ExitStack() as stack:
        env = environment(folder, redis_url)
        database_url = stack.enter_context(prepared.postgres(env, ROOT, durable=True))
        env["TIMESCALE_URL"] = database_url
        with (
            unruly_postgres(database_url, folder / "postgres") as database,
            unruly_redis(redis_url, folder / "redis") as hot,
        ):
            yield Hub(env, folder, database, database_url, hot, redis_url)


@pytest.fixture
def hub(servers: Hub) -> Hub:
    """The same servers for all, empty."""
    servers.execute("TRUNCATE storage_sample, machines_machine CASCADE")
    with redis_client.Redis.from_url(servers.redis_url) as client:
        client.flushall()
    return servers


class Told:
    """Every sequence number that was told on the bus, in order."""

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.layouts: dict[int, int] = {}
        self._more = asyncio.Event()

    def note(self, payload: bytes) -> None:
        for sample in unpack(payload):
            self.sequences.append(sample.sequence)
            self.layouts[sample.sequence] = sample.layout
        self._more.set()

    async def hears(self, sequence: int) -> None:
        async with asyncio.timeout(SHOWN_S):
            while sequence not in self.sequences:
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Told]:
    bus, told = RedisStreamsBus(url), Told()

    async def listen() -> None:
        async for event in events:
            told.note(event.payload)

    async with bus.subscribe(METRICS_RAW) as events:
        task = asyncio.create_task(listen())
        try:
            yield told
        finally:
            task.cancel()
    await bus.close()


@contextmanager
def killed(hub: Hub) -> Iterator[None]:
    hub.database.kill()
    try:
        yield
    finally:
        hub.database.start(ready=PG_READY)


@contextmanager
def paused(hub: Hub) -> Iterator[None]:
    hub.database.pause()
    try:
        yield
    finally:
        hub.database.resume()


# As a disk that takes its time; `test_full_disk.py` has the one that is full.
DELAY = """
CREATE FUNCTION delay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(2.5); RETURN NULL; END $$;
CREATE TRIGGER delay BEFORE UPDATE ON storage_cursor EXECUTE FUNCTION delay();
"""
HEAL = "DROP TRIGGER delay ON storage_cursor; DROP FUNCTION delay;"


@contextmanager
def slow(hub: Hub) -> Iterator[None]:
    hub.execute(DELAY)
    try:
        yield
    finally:
        hub.execute(HEAL)


@pytest.mark.parametrize("trouble", [killed, paused, slow])
async def test_with_the_database_away_the_live_view_goes_on(
    hub: Hub, trouble: Callable[[Hub], Any]
) -> None:
    with hub.serving() as (process, port):
        async with listening(hub.redis_url) as told, agent(port) as web:
            await web.hello()
            await web.send(wire.layout("/"), wire.samples(wire.sample(1, 0.5)))
            await web.acked(1)
            await told.hears(1)
            with trouble(hub):
                for sequence in range(2, 8):
                    await web.send(wire.samples(wire.sample(sequence, 0.5)))
                    await told.hears(sequence)
                # A disk was mounted: the list of series is one that nobody knows.
                await web.send(wire.layout("/", "/data", id=2))
                await web.send(wire.samples(wire.sample(8, 0.5, 0.1, layout=2)))
                await told.hears(8)
                assert said_by(hub, told.layouts[8]) == ["/", "/data"]
                # It cannot be sent in order yet; it comes again.
                await web.send(live(9))
                await told.hears(9)
            await web.send(wire.samples(*(two(number) for number in (9, 10))))
            await asyncio.wait_for(web.acked(10), BACK_S)
            # Shown under its number for now, perhaps; the next one is not.
            await web.send(wire.samples(two(11)))
            await asyncio.wait_for(web.acked(11), BACK_S)
            await told.hears(11)
        is_well(process)

    assert hub.stored() == list(range(1, 12))
    assert hub.mounts() == [(["/"], 7), (["/", "/data"], 4)]
    assert told.sequences == list(range(1, 12))
    assert told.layouts[11] > 0


def two(sequence: int) -> pb.Sample:
    return wire.sample(sequence, 0.5, 0.1, layout=2)


def live(sequence: int) -> pb.MetricsRequest:
    return pb.MetricsRequest(live=two(sequence))


def said_by(hub: Hub, layout: int) -> list[str]:
    """Return what a layout says to a process that has not heard it from its agent."""
    if layout > 0:
        with psycopg.connect(hub.database_url) as connection:
            rows = connection.execute(
                "SELECT attributes ->> 'mountpoint' FROM storage_layoutseries"
                " WHERE layout_id = %s ORDER BY position",
                [layout],
            )
            return [mount for (mount,) in rows]
    description = RedisHot(hub.redis_url).layout(layout)
    assert description is not None
    return [series.attributes[0][1] for series in layouts.read(description)]


def is_well(process: Process) -> None:
    assert process.returncode is None
    assert "Traceback" not in process.output()


async def test_without_a_database_a_known_machine_is_welcome_another_must_wait(
    hub: Hub,
) -> None:
    with hub.serving() as (_, port):
        async with agent(port) as web:
            await web.hello()
            await web.send(wire.layout("/"), wire.samples(wire.sample(1, 0.5)))
            await web.acked(1)
        hub.database.kill()
        async with listening(hub.redis_url) as told:
            async with agent(port) as stranger:
                await stranger.send(wire.hello("web-2"))
                refused = await stranger.end()
            async with agent(port) as web:
                welcome = await web.hello()
                await web.send(wire.layout("/"), wire.samples(wire.sample(2, 0.5)))
                await told.hears(2)
                hub.database.start(ready=PG_READY)
                await asyncio.wait_for(web.acked(2), BACK_S)

    assert refused[0] is grpc.StatusCode.UNAVAILABLE
    assert welcome.committed_sequence == 1
    assert hub.stored() == [1, 2]


async def stored_without(hub: Hub, web: Agent, first: int) -> float:
    """Send ten samples and see them acknowledged; return the seconds it took."""
    began = time.monotonic()
    for sequence in range(first, first + 10):
        await web.send(wire.samples(wire.sample(sequence, 0.5)))
        await web.acked(sequence)
    return time.monotonic() - began


async def test_redis_killed_twice_costs_no_sample_and_comes_back_by_itself(
    hub: Hub,
) -> None:
    with hub.serving() as (process, port):
        async with agent(port) as web:
            await web.hello()
            await web.send(wire.layout("/"))
            last = 0
            for _ in range(2):
                hub.redis.kill()
                took_s = await stored_without(hub, web, last + 1)
                assert took_s < DELAY_S
                hub.redis.start(ready=REDIS_READY)
                last = await told_again(hub, web, last + 11)
        is_well(process)

    assert hub.stored() == list(range(1, last + 1))


async def told_again(hub: Hub, web: Agent, first: int) -> int:
    """Send samples until they are told on the bus again; return the last number."""
    sequence = first - 1
    async with listening(hub.redis_url) as told, asyncio.timeout(BACK_S):
        while not told.sequences:
            sequence += 1
            await web.send(wire.samples(wire.sample(sequence, 0.5)))
            await web.acked(sequence)
            await asyncio.sleep(0.5)
    return sequence


async def test_redis_wiped_is_filled_again_by_the_next_sample(hub: Hub) -> None:
    with (
        hub.serving() as (process, port),
        redis_client.Redis.from_url(hub.redis_url) as client,
    ):
        async with agent(port) as web:
            await web.hello()
            await web.send(wire.layout("/"), wire.samples(wire.sample(1, 0.5)))
            await web.acked(1)
            client.flushall()
            last = await told_again(hub, web, 2)
            hot: Any = client.hgetall("hot:latest")
        is_well(process)

    assert len(hot) == 1
    assert hub.stored() == list(range(1, last + 1))


async def test_redis_without_memory_costs_no_sample(hub: Hub) -> None:
    with (
        hub.serving() as (process, port),
        redis_client.Redis.from_url(hub.redis_url) as client,
    ):
        async with agent(port) as web:
            await web.hello()
            await web.send(wire.layout("/"))
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "1mb")
            took_s = await stored_without(hub, web, 1)
            client.config_set("maxmemory", "0")
            last = await told_again(hub, web, 11)
        is_well(process)

    assert took_s < DELAY_S
    assert hub.stored() == list(range(1, last + 1))


async def test_redis_that_hangs_delays_nobody(hub: Hub) -> None:
    with hub.serving() as (process, port):
        async with agent(port) as web:
            await web.hello()
            await web.send(wire.layout("/"))
            hub.redis.pause()
            took_s = await stored_without(hub, web, 1)
            hub.redis.resume()
            last = await told_again(hub, web, 11)
        assert await asyncio.to_thread(process.stop, by=signal.SIGTERM) == 0

    assert took_s < DELAY_S
    assert hub.stored() == list(range(1, last + 1))
