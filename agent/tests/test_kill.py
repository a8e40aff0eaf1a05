"""An agent that is killed, again and again, and a hub that counts."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from sysmonstm_agent.open_spool import folder_of
from sysmonstm_agent.spool_file import SpoolFile
from sysmonstm_proto import metrics_pb2 as pb

from tests.hub import Conversation, Hub
from tests.patience import until
from tests.talking import config

pytestmark = [pytest.mark.process, pytest.mark.lasts]

KILLS = int(os.environ.get("AGENT_KILLS", "30"))
# The agent itself, at 50 ticks a second: more moments to be killed in.
AGENT = """
import dataclasses, os
from sysmonstm_agent import agent, config, service
service.leave_openssl_out()
agent.run(dataclasses.replace(config.load(os.environ), interval_s=0.02))
"""


class Books:
    """What a hub has committed, and what it heard again."""

    def __init__(self) -> None:
        self.samples: dict[tuple[bytes, int], tuple[int, bytes]] = {}
        self.cursors: dict[bytes, int] = {}
        self.repeats = 0
        self.chance = random.Random(7)

    @property
    def cursor(self) -> int:
        return max(self.cursors.values(), default=0)

    def has_more_than(self, count: int) -> bool:
        return self.cursor > count

    async def serve(self, talk: Conversation) -> None:
        try:
            hello = (await talk.next("hello")).hello
        except StopAsyncIteration:
            # Killed before its first word.
            return
        epoch = hello.spool_epoch
        # Now and then a hub knows less: its machine died before its fsync.
        cursor = max(0, self.cursors.get(epoch, 0) - self.chance.choice((0, 0, 5)))
        cursor = max(cursor, hello.oldest_sequence - 1)
        welcome = pb.Welcome(committed_sequence=cursor, window=64)
        await talk.context.write(pb.StreamAck(welcome=welcome))
        async for sample in self._samples(talk):
            self._enter(epoch, sample)
            # Late, so that there is always something that is not acknowledged.
            if self.chance.random() < 0.3:
                await talk.ack(sample.sequence)

    async def _samples(self, talk: Conversation) -> AsyncIterator[pb.Sample]:
        for message in iter(talk.any, None):
            try:
                samples = (await message).samples.samples
            except StopAsyncIteration:
                return
            for sample in samples:
                yield sample

    def _enter(self, epoch: bytes, sample: pb.Sample) -> None:
        key, content = (
            (epoch, sample.sequence),
            (sample.time_unix_ms, sample.values),
        )
        if key in self.samples:
            self.repeats += 1
            # A number is never given to another sample.
            assert self.samples[key] == content
            return
        assert sample.sequence == self.cursors.get(epoch, 0) + 1
        self.samples[key] = content
        self.cursors[epoch] = sample.sequence


async def start(port: int, base: Path) -> Process:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("COLLECTOR_")}
    ours = {
        "COLLECTOR_MACHINE_ID": "web-1",
        "COLLECTOR_AGGREGATOR_URL": f"127.0.0.1:{port}",
        "COLLECTOR_SPOOL_DIR": str(base),
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", AGENT, env=kept | ours, stderr=DEVNULL
    )


async def test_killed_at_any_moment_it_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    books, chance, slowest_s = Books(), random.Random(11), 0.0
    hub = Hub(*[books.serve] * (KILLS * 2 + 2))
    async with hub.serving():
        for _ in range(KILLS):
            before, started_s = books.cursor, time.monotonic()
            process = await start(hub.port, tmp_path)
            # One in five dies while it starts.
            if chance.random() < 0.2:
                await asyncio.sleep(chance.uniform(0, 0.8))
            else:
                await until(partial(books.has_more_than, before))
                slowest_s = max(slowest_s, time.monotonic() - started_s)
                await asyncio.sleep(chance.uniform(0, 0.3))
            process.kill()
            await process.wait()
        process = await start(hub.port, tmp_path)
        before = books.cursor
        await until(lambda: books.cursor > before + 5)
        process.terminate()
        await process.wait()

    folder = folder_of(config(hub.port, COLLECTOR_SPOOL_DIR=str(tmp_path)))
    assert folder
    file = SpoolFile(folder.database)
    state = file.state
    file.close()
    # One epoch, every number of it, once; nothing evicted, damaged or made up.
    assert list(books.cursors) == [file.origin.epoch]
    assert sorted(n for _, n in books.samples) == list(range(1, books.cursor + 1))
    assert state.last - books.cursor in (0, 1)
    assert (state.evicted, state.damaged, file.origin.lost) == (0, 0, 0)
    # Else this has shown nothing.
    assert books.repeats > 0
    assert books.cursor > KILLS
    # Five seconds are promised; this machine may be busy with other tests.
    assert slowest_s < 45
