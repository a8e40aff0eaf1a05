"""The same line through the real server, and real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hub.events.bus import get_bus
from hub.events.event import METRICS_RAW, Event
from hub.live.frames import Close
from hub.storage.sample import StoredSample, pack
from hub.testing.processes import Process, free_port, running

# Events have to come from another process.
pytestmark = [pytest.mark.production_only, pytest.mark.timeout(90)]

ROOT = Path(__file__).parents[3]
MACHINES = 200

PREPARE = f"""
import django; django.setup()
from django.core.management import call_command
from hub.machines.models import Machine
from hub.people import owner, tokens
from hub.storage import layouts
from hub.storage.layouts import SeriesInfo
call_command("migrate", verbosity=0)
Machine.objects.bulk_create(
    Machine(machine_id=f"web-{{n}}") for n in range({MACHINES})
)
first = Machine.objects.get(machine_id="web-0").pk
layout = layouts.learn([SeriesInfo("system.cpu.utilization", "1", "gauge", "")])
print(tokens.create("wall", owner.owner()), first, layout.id)
"""


@dataclass(frozen=True, slots=True)
class Hub:
    address: str
    secret: str
    first: int
    layout: int
    process: Process

    def connect(self, **headers: str) -> connect:
        told = {"Authorization": f"Bearer {self.secret}", **headers}
        return connect(
            f"ws://{self.address}/ws", additional_headers=told, compression=None
        )

    async def publish(self, cpu: float) -> None:
        now_ms = int(time.time() * 1000)
        vector = np.array([cpu], "<f4").tobytes()
        samples = [
            StoredSample(self.first + n, self.layout, now_ms, now_ms, now_ms, vector)
            for n in range(MACHINES)
        ]
        await get_bus().publish(Event(METRICS_RAW, pack(samples)))

    def memory_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    env = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "hub.settings",
        "DATA_DIR": str(tmp_path / "data"),
        "REDIS_URL": settings.REDIS_URL,
    }
    prepared = subprocess.run(
        [sys.executable, "-c", PREPARE],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    secret, first, layout = prepared.stdout.split()
    port = free_port()
    argv = [sys.executable, "-m", "daphne", "-p", str(port)]
    limits = [
        # Also the limit of what we send; only frames are always small.
        *("--websocket-max-message-size", str(4 * 2**20)),
        *("--websocket-max-frame-size", "8192"),
    ]
    with running(
        *argv,
        *limits,
        "hub.asgi:application",
        log=tmp_path / "daphne.log",
        env=env,
        cwd=ROOT,
    ) as daphne:
        daphne.wait_for_port(port, within_s=30)
        yield Hub(f"127.0.0.1:{port}", secret, int(first), int(layout), daphne)


async def read(socket: ClientConnection) -> Any:
    async with asyncio.timeout(10):
        told = json.loads(await socket.recv())
    await socket.send(json.dumps({"type": "ack", "n": told["n"]}))
    return told


async def test_a_real_browser_s_line(hub: Hub) -> None:
    async with hub.connect(Origin=f"http://{hub.address}") as socket:
        snapshot = await read(socket)
        assert len(snapshot["machines"]) == MACHINES
        assert snapshot["machines"][0]["summary"] is None

        await hub.publish(0.5)
        changes = await read(socket)

    assert len(changes["machines"]) == MACHINES
    assert changes["machines"][0]["summary"]["cpu"] == 0.5

    for headers in ({"Origin": "http://evil.example"}, {"Authorization": "Bearer x"}):
        with pytest.raises(InvalidStatus) as refused:
            await hub.connect(**headers).__aenter__()
        assert refused.value.response.status_code == 403

    assert await ends(hub, "nonsense") == Close.BAD_MESSAGE
    assert await ends(hub, "a" * 5000) == Close.TOO_LARGE
    # The server itself cuts off what is too large before it is in memory; its
    # reason is lost when we are still sending.
    assert await ends(hub, "a" * 16 * 2**20) in (1006, 1009)
    assert await ends(hub, ["a" * 4096] * 4096) in (1006, 1009)

    async with AsyncExitStack() as sockets:
        for _ in range(40):
            await read(await sockets.enter_async_context(hub.connect()))
        async with hub.connect() as one_more:
            with pytest.raises(ConnectionClosed):
                await one_more.recv()
            assert one_more.close_code == Close.TOO_MANY


async def ends(hub: Hub, said: str | list[str]) -> int | None:
    async with hub.connect() as socket:
        await read(socket)
        try:
            await socket.send(said)
            async with asyncio.timeout(10):
                while True:
                    await socket.recv()
        except ConnectionClosed:
            return socket.close_code


async def test_browsers_that_never_read_cost_little_and_nobody_else(hub: Hub) -> None:
    async with AsyncExitStack() as sockets:
        alive = await sockets.enter_async_context(hub.connect())
        await read(alive)
        for _ in range(39):
            dead = await sockets.enter_async_context(hub.connect())
            # Nothing is taken from the socket any more, as in a frozen tab.
            dead.transport.pause_reading()
            sockets.callback(dead.transport.abort)
        before_mib = hub.memory_mib()

        for step in range(1, 41):
            await hub.publish(step / 1000)
            told = await read(alive)
            assert told["machines"][0]["summary"]["cpu"] == pytest.approx(step / 1000)

        assert hub.memory_mib() - before_mib < 50
