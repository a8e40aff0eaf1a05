"""The same line through the real server, and real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from redis import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hub.events.bus import get_bus
from hub.events.event import METRICS_RAW, Event
from hub.live.fanout import MAX_SOCKETS_OF_A_USER
from hub.live.frames import Close
from hub.storage.sample import StoredSample, pack
from hub.testing.patience import PATIENCE_S
from hub.testing.processes import Process, free_port, running

# Events have to come from another process.
pytestmark = [pytest.mark.production_only, pytest.mark.lasts]

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

# Somebody for each way to be let in no longer, and two who stay.
# Ten seconds are promised; a busy machine gets more.
OUT_S = 60.0
OUT = ("signs out", "is switched off", "has another password", "is revoked", "expires")
WAYS = (*OUT, "loses sight", "stays")
LET_IN = f"""
import django; django.setup()
from django.contrib.auth.models import User
from django.test import Client
from hub.machines.models import Machine, Sight, Tag
from hub.people import tokens
shop = Tag.objects.create(name="shop")
Machine.objects.get(machine_id="web-0").tags.add(shop)
for way in {WAYS!r}:
    user = User.objects.create_user(way)
    if way == "loses sight":
        Sight.objects.create(user=user).tags.add(shop)
    if way in ("is revoked", "expires"):
        print("Authorization", f"Bearer {{tokens.create(way, user)}}", sep="=")
    else:
        client = Client()
        client.force_login(user)
        [(name, cookie)] = client.cookies.items()
        print("Cookie", f"{{name}}={{cookie.value}}", sep="=")
"""
LET_OUT = """
import django; django.setup()
from django.contrib.auth.models import User
from django.utils import timezone
from hub.machines.models import Machine
from hub.people import sessions
from hub.people.models import ApiToken
sessions.end(User.objects.get(username="signs out"))
User.objects.filter(username="is switched off").update(is_active=False)
other = User.objects.get(username="has another password")
other.set_password("another long password")
other.save()
ApiToken.objects.get(user__username="is revoked").delete()
ApiToken.objects.filter(user__username="expires").update(expires_at=timezone.now())
Machine.objects.get(machine_id="web-0").tags.clear()
"""


@dataclass(frozen=True, slots=True)
class Hub:
    address: str
    secret: str
    first: int
    layout: int
    process: Process
    env: dict[str, str]

    def run(self, program: str) -> str:
        """Run it as another process of this hub."""
        return _run(program, self.env)

    def connect_as(self, headers: dict[str, str]) -> connect:
        return connect(
            f"ws://{self.address}/ws", additional_headers=headers, compression=None
        )

    def connect(self, **headers: str) -> connect:
        return self.connect_as({"Authorization": f"Bearer {self.secret}", **headers})

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
    # What other tests' machines have sent.
    with Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
    secret, first, layout = _run(PREPARE, env).split()
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
        daphne.wait_for_port(port, within_s=PATIENCE_S)
        yield Hub(f"127.0.0.1:{port}", secret, int(first), int(layout), daphne, env)


def _run(program: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


async def read(socket: ClientConnection) -> Any:
    async with asyncio.timeout(PATIENCE_S):
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
        for _ in range(MAX_SOCKETS_OF_A_USER):
            await read(await sockets.enter_async_context(hub.connect()))
        async with hub.connect() as one_more:
            with pytest.raises(ConnectionClosed):
                await one_more.recv()
            assert one_more.close_code == Close.TOO_MANY


async def test_who_is_let_in_no_longer_is_out_within_ten_seconds(hub: Hub) -> None:
    """Told by the database alone: the hub asks it again and again."""
    lines = (await asyncio.to_thread(hub.run, LET_IN)).splitlines()
    async with AsyncExitStack() as sockets:
        opened: dict[str, ClientConnection] = {}
        for way, line in zip(WAYS, lines, strict=True):
            name, _, value = line.partition("=")
            headers = {name: value, "Origin": f"http://{hub.address}"}
            opened[way] = await sockets.enter_async_context(hub.connect_as(headers))
            told = await read(opened[way])
            seen = MACHINES if way != "loses sight" else 1
            assert len(told["machines"]) == seen, way
        loser = opened["loses sight"]
        started = time.monotonic()
        await asyncio.to_thread(hub.run, LET_OUT)

        for way in OUT:
            async with asyncio.timeout(OUT_S - (time.monotonic() - started)):
                await opened[way].wait_closed()
            assert opened[way].close_code == Close.SIGNED_OUT, way
        while "gone" not in (told := await read(loser)):
            pass
        assert told["gone"] == ["web-0"]
        await hub.publish(0.25)
        assert await read(opened["stays"])
        # Nothing, or the heartbeat of a quiet line.
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                assert json.loads(await loser.recv())["machines"] == []


async def ends(hub: Hub, said: str | list[str]) -> int | None:
    async with hub.connect() as socket:
        await read(socket)
        try:
            await socket.send(said)
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await socket.recv()
        except ConnectionClosed:
            return socket.close_code


async def test_browsers_that_never_read_cost_little_and_nobody_else(hub: Hub) -> None:
    async with AsyncExitStack() as sockets:
        alive = await sockets.enter_async_context(hub.connect())
        await read(alive)
        for _ in range(MAX_SOCKETS_OF_A_USER - 1):
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
