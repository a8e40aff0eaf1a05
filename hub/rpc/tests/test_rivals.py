"""One machine, several streams: in one process, in two, and half dead."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import psycopg
import pytest

from hub.ingest.tests import wire
from hub.rpc.tests.agent import agent
from hub.rpc.tests.test_grpcserve import Hub, serving, timescale_hub
from hub.testing.blackhole import blackhole
from hub.testing.services import redis

pytestmark = [pytest.mark.process, pytest.mark.lasts]

TAKEN_OVER = (
    grpc.StatusCode.ABORTED,
    "A newer stream of this machine took over.",
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder: Path = tmp_path_factory.mktemp("rivals")
    with redis() as url, timescale_hub(folder, url) as made:
        yield made


async def test_the_newest_stream_wins_across_processes(hub: Hub) -> None:
    with hub.serving() as (_, first), hub.serving() as (_, second):
        async with agent(first) as old, agent(second) as new:
            await old.hello("web-1")
            await asyncio.sleep(0.5)
            await new.hello("web-1")
            ended = await old.end()
            await new.send(wire.layout("/"), wire.ticks([1], (0.5,)))
            await new.acked(1)

    assert ended == TAKEN_OVER


async def test_two_processes_that_race_store_each_sample_once(hub: Hub) -> None:
    last = duplicates = 0

    with (
        hub.serving() as (_, first),
        hub.serving() as (_, second),
        psycopg.connect(hub.env["TIMESCALE_URL"], autocommit=True) as connection,
    ):
        # Without one they did not race.
        while not duplicates:
            last += 400
            assert last <= 8_000
            await asyncio.gather(
                *(persist(port, b"r" * 16, last) for port in (first, second))
            )
            [(*counted, duplicates)] = connection.execute(
                "SELECT c.sequence, stored, skipped, duplicates FROM storage_cursor c"
                " JOIN machines_machine m ON m.id = c.machine_id"
                " WHERE m.machine_id = 'racer'"
            ).fetchall()
        rows = connection.execute(
            "SELECT sequence FROM storage_sample s JOIN machines_machine m"
            " ON m.id = s.machine_id WHERE m.machine_id = 'racer' ORDER BY sequence"
        ).fetchall()

    assert [row[0] for row in rows] == list(range(1, last + 1))
    assert counted == [last, last, 0]


async def persist(port: int, epoch: bytes, last: int) -> None:
    """Send the same spool until all of it is acknowledged, however often ended."""
    done = 0
    while done < last:
        async with agent(port) as web:
            try:
                done = (await web.hello("racer", epoch)).committed_sequence
                await web.send(wire.layout("/"))
                for first in range(done + 1, last + 1, 20):
                    numbers = range(first, min(first + 20, last + 1))
                    await web.send(wire.ticks(numbers, (0.5,)))
                    await web.acked(numbers[-1])
                    done = numbers[-1]
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError, AssertionError):
                await asyncio.sleep(random.uniform(0, 0.3))


async def test_a_half_open_connection_is_noticed_within_forty_seconds(
    hub: Hub,
) -> None:
    with serving(hub.env, hub.folder) as (process, port):
        async with blackhole(port) as proxy, agent(proxy.port) as web:
            await web.hello("silent")
            await web.send(wire.layout("/"), wire.ticks([1], (0.5,)))
            await web.acked(1)
            proxy.go_silent()
            began = time.monotonic()
            await asyncio.to_thread(
                process.wait_for_line, r'"silent".*stream\.closed', within_s=100
            )
            took_s = time.monotonic() - began

    # 40 s, and some for a machine that is busy.
    assert took_s <= 60
