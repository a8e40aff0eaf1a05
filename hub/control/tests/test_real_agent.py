"""A whole hub and a real agent: settings, questions, live samples, goodbye."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from sysmonstm_proto import metrics_pb2 as pb

from hub.control import edit
from hub.control.ask import ask
from hub.control.models import Standing
from hub.events.bus import get_bus
from hub.events.event import MACHINES_WATCHED, METRICS_INSTANT, Event
from hub.machines.models import Machine
from hub.rpc.server import GrpcServer
from hub.rpc.tests.agent import serving
from hub.storage.models import Sample
from hub.storage.sample import StoredSample, unpack
from hub.testing import hubs
from hub.testing.patience import until_found
from hub.testing.processes import Process

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]

SOON_S = 60.0
# Enough to see a step, and how even it is.
INSTANTS = 4


@asynccontextmanager
async def real_agent(port: int, folder: Path) -> AsyncIterator[Process]:
    """Run one whose owner has set nothing; it ends as asked."""
    settings = {"COLLECTOR_COLLECTION_INTERVAL": "", "COLLECTOR_STATE_DIR": str(folder)}
    log = folder / "agent.log"
    with hubs.agent(f"127.0.0.1:{port}", "atlas", log, **settings) as process:
        yield process
        # In a thread: the hub has to hear its goodbye.
        assert await asyncio.to_thread(process.stop) == 0


@sync_to_async
def want(machine: Machine, **wanted: Any) -> None:
    edit.save(edit.settings_of(machine), wanted, by=None)


async def connected(server: GrpcServer) -> Machine:
    machine: Machine = await until_found(
        lambda: Machine.objects.filter(machine_id="atlas").afirst()
    )

    async def is_there() -> bool:
        return machine.pk in server.control.control.lines

    await until_found(is_there)
    return machine


async def test_a_real_agent_takes_settings_answers_and_says_goodbye(
    tmp_path: Path,
) -> None:
    async with serving() as (server, port), real_agent(port, tmp_path) as agent:
        machine = await connected(server)

        await want(
            machine,
            interval_s=2,
            collectors={"cpu": False, "flux": True},
            labels={"site": "Wien"},
        )

        # It has reported before that it has nothing to apply.
        standing = await until_found(
            lambda: Standing.objects.filter(pk=machine.pk).exclude(refused=[]).afirst()
        )
        assert "load" in standing.collectors
        assert standing.refused == ["This agent has no collector “flux”."]
        # It said Hello again, so that its silence is judged by its new interval.
        await until_found(lambda: Machine.objects.filter(interval_s=2).afirst())
        machine = await connected(server)
        told = await ask(machine.pk, pb.ControlCommand(diagnose=pb.Diagnose()), 5)
        config = told.diagnostics.config
        assert (config.interval_ms, config.labels["site"]) == (2_000, "Wien")
        states = {one.name: one.on for one in told.diagnostics.collectors}
        assert (states["cpu"], states["load"]) == (False, True)

        listing = pb.ControlCommand(list_processes=pb.ListProcesses(limit=1_000))
        answer = await ask(machine.pk, listing, 10)
        assert "sysmonstm-agent" in {one.name for one in answer.processes.entries}

        assert await Machine.objects.filter(left_at=None).aexists()
        await asyncio.to_thread(agent.stop)
        await until_found(
            lambda: Machine.objects.filter(left_at__isnull=False).afirst()
        )


async def test_whoever_watches_sees_a_real_agent_every_second(tmp_path: Path) -> None:
    seen: list[StoredSample] = []
    async with serving() as (server, port), real_agent(port, tmp_path):
        machine = await connected(server)
        async with get_bus().subscribe(METRICS_INSTANT) as events:
            watched = Event(MACHINES_WATCHED, orjson.dumps({"pks": [machine.pk]}))
            await get_bus().publish(watched)
            async with asyncio.timeout(SOON_S):
                while len(seen) < INSTANTS:
                    seen += unpack((await anext(events)).payload)

        moments = [sample.time_ms for sample in seen]
        assert all(800 <= b - a <= 2_500 for a, b in pairwise(moments))
        # None of them is stored.
        stored = [
            one async for one in Sample.objects.values_list("sequence", flat=True)
        ]
        assert len(stored) == len(set(stored)) <= 3
