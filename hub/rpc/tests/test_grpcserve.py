"""`manage.py grpcserve` as a real process: signals, ports, and sudden death."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import psycopg
import pytest

from hub.ingest.tests import wire
from hub.rpc.authenticate import DENIED
from hub.rpc.tests import trusted
from hub.rpc.tests.agent import agent, raw_bytes
from hub.rpc.tests.trusted import Trust, agents_secret, enrol
from hub.testing import prepared
from hub.testing.patience import PATIENCE_S, until
from hub.testing.processes import Process, running
from hub.testing.services import redis

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[3]

Locked = Callable[[], AbstractContextManager[None]]


class Hub(NamedTuple):
    """An environment with a migrated database, to start `grpcserve` in."""

    env: dict[str, str]
    folder: Path
    # Holds up every COMMIT while it is entered.
    locked: Locked
    # Each stored sequence, in order, as often as it is stored.
    stored: Callable[[], list[int]]

    def serving(self) -> AbstractContextManager[tuple[Process, int]]:
        return serving(self.env, self.folder)


@contextmanager
def serving(env: dict[str, str], folder: Path) -> Iterator[tuple[Process, int]]:
    """Run `grpcserve` on a free port; yield it with the port."""
    # A log of its own for each process.
    with running(
        *(sys.executable, "manage.py", "grpcserve", "--port", "0"),
        log=folder / f"grpcserve.{time.monotonic_ns()}.log",
        env=env,
        cwd=ROOT,
        within_s=PATIENCE_S,
    ) as process:
        line = process.wait_for_line(r"^.*grpc\.listening.*$", within_s=PATIENCE_S)[0]
        yield process, json.loads(line)["port"]


STORED = "SELECT sequence FROM storage_sample ORDER BY sequence"


def environment(folder: Path, redis_url: str, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DATA_DIR": str(folder),
        "REDIS_URL": redis_url,
        "DJANGO_SETTINGS_MODULE": "hub.settings",
        **more,
    }


@contextmanager
def sqlite_hub(folder: Path, redis_url: str) -> Iterator[Hub]:
    env = environment(folder, redis_url)
    path = folder / prepared.NAME
    prepared.database(folder, env, ROOT)

    @contextmanager
    def locked() -> Iterator[None]:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
            connection.close()

    def stored() -> list[int]:
        connection = sqlite3.connect(path)
        rows = connection.execute(STORED).fetchall()
        connection.close()
        return [row[0] for row in rows]

    yield Hub(env, folder, locked, stored)


@contextmanager
def timescale_hub(folder: Path, redis_url: str) -> Iterator[Hub]:
    env = environment(folder, redis_url)
    with prepared.postgres(env, ROOT, durable=True) as url:
        env["TIMESCALE_URL"] = url

        @contextmanager
        def locked() -> Iterator[None]:
            with psycopg.connect(url) as connection:
                connection.execute("LOCK storage_cursor IN ACCESS EXCLUSIVE MODE")
                yield
                connection.rollback()

        def stored() -> list[int]:
            with psycopg.connect(url) as connection:
                return [row[0] for row in connection.execute(STORED)]

        yield Hub(env, folder, locked, stored)


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis() as url:
        yield url


@pytest.fixture
def hub(tmp_path: Path, redis_url: str) -> Iterator[Hub]:
    with sqlite_hub(tmp_path, redis_url) as made:
        yield made


@pytest.fixture(params=[sqlite_hub, timescale_hub])
def either_hub(
    request: pytest.FixtureRequest, tmp_path: Path, redis_url: str
) -> Iterator[Hub]:
    with request.param(tmp_path, redis_url) as made:
        yield made


async def test_sigterm_commits_what_was_received_and_says_goodbye(hub: Hub) -> None:
    with hub.serving() as (process, port):
        async with agent(port) as web:
            await web.hello()
            await web.send(wire.layout("/"), wire.ticks([1], (0.5,)))
            await web.acked(1)
            with hub.locked():
                await web.send(wire.ticks(range(2, 50), (0.5,)))
                # All of it has arrived by then.
                await asyncio.sleep(1.5)
                process.send(signal.SIGTERM)
                goodbye = await web.read()
            await web.acked(49)
            ended = await web.end()
        # Not `stop`: a second signal would cut it short.
        await until(lambda: process.returncode is not None)

    assert goodbye.reconnect.after_ms == 1000
    assert ended == (grpc.StatusCode.UNAVAILABLE, "The hub is restarting.")
    assert process.returncode == 0
    assert hub.stored() == list(range(1, 50))
    assert "Traceback" not in process.output()


async def test_sigterm_ends_in_time_when_the_database_does_not_answer(
    hub: Hub,
) -> None:
    with hub.serving() as (process, port):
        async with agent(port) as web:
            await web.hello()
            await web.send(wire.layout("/"), wire.ticks([1], (0.5,)))
            await web.acked(1)
            with hub.locked():
                await web.send(wire.ticks([2], (0.5,)))
                await asyncio.sleep(0.3)
                code = await asyncio.to_thread(process.stop, within_s=PATIENCE_S)

    assert code == 0
    assert hub.stored() == [1]


def test_a_second_signal_ends_at_once(hub: Hub) -> None:
    with hub.serving() as (process, port):

        async def hold() -> None:
            async with agent(port) as web:
                await web.hello()
                await web.send(wire.layout("/"))
                with hub.locked():
                    await web.send(wire.ticks([1], (0.5,)))
                    await asyncio.sleep(0.5)
                    process.send(signal.SIGTERM)
                    await asyncio.to_thread(
                        process.wait_for_line, r"grpc\.stopping", within_s=PATIENCE_S
                    )
                    stop = partial(process.stop, within_s=PATIENCE_S)
                    assert await asyncio.to_thread(stop) == 1

        asyncio.run(hold())

    assert hub.stored() == []


def test_a_port_in_use_is_said_in_one_sentence(hub: Hub) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = grpcserve(hub.env, "--port", port)

    assert refused.returncode == 1
    assert refused.stdout == ""
    lines = [line for line in refused.stderr.splitlines() if "Cannot listen" in line]
    assert lines == [
        f"CommandError: Cannot listen on 127.0.0.1 port {port}: another program does, "
        "or the address is not this machine's. Set GRPC_PORT."
    ]
    assert "Traceback" not in refused.stderr


async def test_a_message_that_unpacks_to_a_big_one_costs_little_memory(
    hub: Hub,
) -> None:
    big, packed = bytes(256 * 1024 * 1024), grpc.Compression.Gzip
    with hub.serving() as (process, port):
        async with agent(port) as web:
            await web.hello()
        before = peak(process.pid)
        codes = [await raw_bytes(port, big, compression=packed) for _ in range(2)]
        grown = peak(process.pid) - before

    assert codes == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2
    assert grown < 50 * 1024 * 1024


def peak(pid: int) -> int:
    """Return the most memory that a process has ever held, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    [kibibytes] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(kibibytes.split()[1]) * 1024


def test_two_hubs_do_not_share_a_port(hub: Hub) -> None:
    with hub.serving() as (_, port):
        refused = grpcserve(hub.env, "--port", str(port))

    assert refused.returncode == 1
    assert "Cannot listen" in refused.stderr


def test_a_hub_without_a_bus_between_processes_does_not_start(hub: Hub) -> None:
    refused = grpcserve({**hub.env, "REDIS_URL": ""}, "--port", "0")

    assert refused.returncode == 1
    assert "hub.E005" in refused.stderr


def test_plain_text_beyond_this_machine_must_be_meant(hub: Hub) -> None:
    plain = {**hub.env, "GRPC_TLS": "off", "ALLOW_SQLITE": "true"}
    refused = grpcserve(plain, "--host", "0.0.0.0", "--port", "0")

    assert refused.returncode == 1
    assert "hub.E002" in refused.stderr


def grpcserve(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "grpcserve", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )


def manage(env: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=env,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
    )
    return done.stdout.strip()


async def test_who_is_revoked_by_another_process_is_cut_within_five_seconds(
    hub: Hub,
) -> None:
    env = {**hub.env, "GRPC_TLS": "on", "AGENT_TOKEN": "a-shared-token"}
    token = await asyncio.to_thread(manage, env, "enroltoken", "create", "--uses", "2")
    trust = Trust((hub.folder / "tls" / "ca.pem").read_bytes())
    secret, other = agents_secret(), agents_secret()

    with serving(env, hub.folder) as (process, port):
        for name, own in (("web-1", secret), ("web-2", other)):
            await enrol(port, trust, token=token, machine_id=name, secret=own)
        async with (
            trusted.agent(port, trust, secret) as web,
            trusted.agent(port, trust, other) as bystander,
        ):
            await web.hello()
            await bystander.hello("web-2")
            await asyncio.to_thread(manage, env, "agents", "revoke", "web-1")
            ended = await asyncio.wait_for(web.end(), PATIENCE_S)
            await bystander.send(wire.layout("/"), wire.ticks([1], (0.5,)))
            await bystander.acked(1)
        async with trusted.agent(port, trust, secret) as web:
            refused = await web.end()
        said = await asyncio.to_thread(manage, env, "agents", "list")

    assert ended == refused == (grpc.StatusCode.UNAUTHENTICATED, DENIED)
    lines = [line.split()[:2] for line in said.splitlines()]
    assert lines == [["web-1", "revoked"], ["web-2", "live"]]
    assert secret not in process.output()
    assert token not in process.output()


async def test_a_kill_before_the_commit_loses_and_repeats_nothing(
    either_hub: Hub,
) -> None:
    hub = either_hub
    spool = {n: wire.ticks([n], (0.5,)) for n in range(1, 41)}

    with hub.serving() as (process, port):
        async with agent(port) as web:
            await web.hello()
            await web.send(wire.layout("/"), *(spool[n] for n in range(1, 11)))
            await web.acked(10)
            with hub.locked():
                await web.send(*(spool[n] for n in range(11, 31)))
                # Received and in the writer's hands, not committed.
                await asyncio.sleep(1)
                await asyncio.to_thread(process.stop, by=signal.SIGKILL)
    with hub.serving() as (_, port):
        async with agent(port) as web:
            welcome = await web.hello()
            # The agent knows of 10; it sends all that it was not told of, and
            # some that it was.
            await web.send(wire.layout("/"), *(spool[n] for n in range(6, 41)))
            await web.acked(40)

    assert welcome.committed_sequence == 10
    assert hub.stored() == list(range(1, 41))


async def test_kills_at_any_moment_lose_and_repeat_nothing(hub: Hub) -> None:
    acknowledged = 0

    for moment_s in (0.0, 0.02, 0.05, 0.08):
        with hub.serving() as (process, port):
            async with agent(port) as web:
                await web.hello()
                await web.send(
                    wire.layout("/"),
                    *(
                        wire.ticks([n], (0.5,))
                        for n in range(acknowledged + 1, acknowledged + 50)
                    ),
                )
                await asyncio.sleep(moment_s)
                process.send(signal.SIGKILL)
                acknowledged = max(acknowledged, await last_word(web.call))
    with hub.serving() as (_, port):
        async with agent(port) as web:
            await web.hello()
            await web.send(
                wire.layout("/"),
                wire.ticks(range(acknowledged + 1, acknowledged + 50), (0.5,)),
            )
            await web.acked(acknowledged + 49)

    assert hub.stored() == list(range(1, acknowledged + 50))


async def next_of(call: Any) -> Any:
    return await asyncio.wait_for(call.read(), PATIENCE_S)


async def last_word(call: Any) -> int:
    """Read to the broken end; return the highest number acknowledged."""
    highest = 0
    try:
        while (message := await next_of(call)) is not grpc.aio.EOF:
            highest = max(highest, message.ack.committed_sequence)
    except grpc.aio.AioRpcError:
        return highest
    return highest
