"""PostgreSQL's disk full, by what its own files are told: nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from hub.health.shelf import PREFIX, RedisShelf
from hub.health.storing import FAILING
from hub.ingest.tests import wire
from hub.rpc.tests.agent import agent
from hub.rpc.tests.test_degradation import BACK_S, is_well, listening
from hub.rpc.tests.test_grpcserve import ROOT, environment, serving
from hub.testing import full_disk, prepared
from hub.testing.full_disk import Disk
from hub.testing.services import redis

pytestmark = pytest.mark.process

# A neighbour of the machine's own rows, beyond every number that it sends.
NEIGHBOUR = """
INSERT INTO storage_sample (machine_id, layout_id, time, sequence, delay_ms, values)
SELECT machine_id, layout_id, time, %s, 0, values FROM storage_sample LIMIT 1
"""


def crowd(neighbour: psycopg.Connection[Any]) -> None:
    for number in range(1_000_000, 1_010_000):
        with neighbour.transaction():
            neighbour.execute(NEIGHBOUR, [number])


@contextmanager
def full(disk: Disk, url: str) -> Iterator[None]:
    """Fill it, and what is left of the pages that are there."""
    with psycopg.connect(url) as neighbour:
        disk.fill()
        # Its rows stand there and are nobody's, for this transaction never ends well.
        neighbour.execute("SELECT 1")
        with pytest.raises(psycopg.errors.DiskFull):
            crowd(neighbour)
        yield
        disk.free()
        neighbour.rollback()


def stored(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT sequence FROM storage_sample ORDER BY sequence"
        )
        return [sequence for (sequence,) in rows]


async def said_to_fail(url: str) -> None:
    """Wait until the hub tells its pages that nothing is stored."""
    shelf = RedisShelf(url)
    async with asyncio.timeout(BACK_S):
        while True:
            kept = shelf.read().items()
            told = [orjson.loads(one) for name, one in kept if name.startswith(PREFIX)]
            if any(one["figures"].get(FAILING) for one in told):
                return
            await asyncio.sleep(0.1)


async def test_with_the_disk_full_acks_wait_and_all_resumes_when_there_is_room(
    tmp_path: Path,
) -> None:
    with redis() as redis_url, full_disk.disk() as disk, ExitStack() as stack:
        env = environment(tmp_path, redis_url)
        with full_disk.preloaded(disk):
            url = stack.enter_context(prepared.postgres(env, ROOT, durable=True))
        env["TIMESCALE_URL"] = url
        with serving(env, tmp_path) as (process, port):
            async with listening(redis_url) as told, agent(port) as web:
                await web.hello()
                await web.send(wire.layout("/"), wire.samples(wire.sample(1, 0.5)))
                await web.acked(1)
                with full(disk, url):
                    for sequence in range(2, 6):
                        await web.send(wire.samples(wire.sample(sequence, 0.5)))
                        await told.hears(sequence)
                    await said_to_fail(redis_url)
                    assert stored(url) == [1]
                await asyncio.wait_for(web.acked(5), BACK_S)
            is_well(process)
        assert stored(url) == [1, 2, 3, 4, 5]
        assert told.sequences == [1, 2, 3, 4, 5]
        assert "could not extend file" in process.output()
