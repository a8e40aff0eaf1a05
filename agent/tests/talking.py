"""A client and the hub that it talks to, for the tests of both their manners."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from sysmonstm_agent.client import Client
from sysmonstm_agent.config import Config, load
from sysmonstm_agent.layout import Layout, Sample
from sysmonstm_agent.machine import Machine
from sysmonstm_agent.memory_spool import MemorySpool
from sysmonstm_agent.metric import Metric, Series
from sysmonstm_agent.spool import Spool
from sysmonstm_agent.stream import Witness

from tests.hub import Conversation, Hub, Script

HEAT = Metric("system.temperature", "Cel", "How hot it is.")
MACHINE = Machine(
    os="Debian", kernel="6.1.0", architecture="x86_64", boot_time_unix_ms=1_000
)
ONE = Layout((Series(HEAT, (("sensor", "top"),)),))
TWO = Layout((Series(HEAT, (("sensor", "top"),)), Series(HEAT)))


def sample(layout: Layout = ONE, *, size: int = 4) -> Sample:
    return Sample(1_700_000_000_000, layout, bytes(size))


def spool_of(count: int, *, size: int = 4) -> MemorySpool:
    spool = MemorySpool(capacity_bytes=64 * 1024 * 1024)
    for _ in range(count):
        spool.append(sample(size=size))
    return spool


def config(port: int, **environment: str) -> Config:
    address = {"COLLECTOR_AGGREGATOR_URL": f"127.0.0.1:{port}"}
    return load({"COLLECTOR_MACHINE_ID": "web-1", **address, **environment})


class Pauses(list[float]):
    """A sleep that takes no time and remembers how long it should have been."""

    async def sleep(self, pause_s: float) -> None:
        self.append(pause_s)
        await asyncio.sleep(0)


@asynccontextmanager
async def talking(
    to: Config,
    spool: Spool,
    pauses: Pauses | None = None,
    witness: Witness | None = None,
) -> AsyncIterator[Client]:
    sleep = (Pauses() if pauses is None else pauses).sleep
    client = Client(
        to, MACHINE, spool, witness=witness, sleep=sleep, chance=lambda: 1.0
    )
    task = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def playing(
    spool: Spool,
    *scripts: Script,
    pauses: Pauses | None = None,
    environment: Mapping[str, str] | None = None,
    witness: Witness | None = None,
) -> AsyncIterator[tuple[Hub, Client]]:
    """Run a client against a hub that plays these scripts, one for each stream."""
    async with Hub(*scripts).serving() as hub:
        to = config(hub.port, **(environment or {}))
        async with talking(to, spool, pauses, witness) as client:
            yield hub, client


async def for_ever(talk: Conversation) -> None:
    # A test may end before the agent has said Hello again.
    with contextlib.suppress(StopAsyncIteration):
        await talk.welcome()
        await talk.rest()
