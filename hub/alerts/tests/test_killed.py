"""Every incident is told at least once and at most twice, whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hub.alerts.tests.receivers import Receiver, http_receiver
from hub.testing import hubs, prepared
from hub.testing.hubs import Production
from hub.testing.processes import Process, running
from hub.testing.unruly import unruly_redis

pytestmark = [pytest.mark.process, pytest.mark.lasts]

INCIDENTS = 8
BUSY_MACHINES = 6
# Answers are kept back until the killing is done, on a busy machine too; a sender
# would wait for 15 s.
HELD_S = 10
START_S = 120
SENT_S = 300

ROOT = Path(__file__).resolve().parents[3]

# Each incident has a contact of its own: so each is a message of its own.
SEED = """
import sys
from hub.alerts.tests.office import Office, contact, route, Route
from hub.alerts.models import Rule
from django.utils import timezone
url, first, count = sys.argv[-1].split(" ")
office = Office(now=timezone.now())
for n in range(int(first), int(first) + int(count)):
    rule = Rule.objects.create(name=f"rule {n}")
    to = contact(f"c{n}", may_reach_private=True)
    to.reach(f"{url}/{n}")
    to.save()
    only = route(f"r{n}", to, group_wait_s=0)
    only.rules.add(rule)
    office.open(f"m{n}", rule=rule.name)
"""

# Machines that one after the other have too much to do, for real: samples are stored
# and told. Whether Redis is there or not, they go on.
BUSY = """
import asyncio, sys, time
from contextlib import suppress
from hub.alerts.tests.office import Route, contact, route
from hub.alerts.models import Rule
from hub.alerts.tests.scenes import CPU, series, vector
from hub.events.bus import get_bus
from hub.events.event import METRICS_RAW, BusDown, Event
from hub.machines.models import Machine
from hub.storage import layouts, raw
from hub.storage.hot import HotDown, get_hot
from hub.storage.sample import StoredSample, pack
url, count = sys.argv[-1].split(" ")
machines = []
for n in range(int(count)):
    machine = Machine.objects.create(machine_id=f"busy-{n}", interval_s=1)
    machines.append(machine)
    rule = Rule.objects.create(
        name=f"busy {n}", metric=CPU, warning=0.8, scope="machines", clear_for_s=0
    )
    rule.machines.add(machine)
    to = contact(f"b{n}", may_reach_private=True)
    to.reach(f"{url}/busy/{n}")
    to.save()
    route(f"b{n}", to, group_wait_s=0).rules.add(rule)
layout = layouts.learn([series(CPU)]).id
def tick(second):
    now_ms = time.time_ns() // 1_000_000
    batch = [
        StoredSample(
            machine.pk, layout, second + 1, now_ms, now_ms,
            vector(0.95 if second > 5 * n else 0.1),
        )
        for n, machine in enumerate(machines)
    ]
    raw.write([raw.Incoming(sample, b"e" * 16) for sample in batch])
    with suppress(HotDown):
        get_hot().put(batch)
    return pack(batch)
async def main():
    print("ticking", flush=True)
    for second in range(180):
        payload = await asyncio.to_thread(tick, second)
        with suppress(BusDown):
            await get_bus().publish(Event(METRICS_RAW, payload))
        await asyncio.sleep(1)
asyncio.run(main())
"""

# What tells of each table; asked of the database itself, as often as one likes.
TOLD = {
    "alerts_delivery": "state",
    "alerts_attempt": "result",
    "alerts_alert": "machine_title",
}
States = dict[str, list[str]]


def shell(hub: Production, program: str, *argument: str) -> str:
    """Run a program within the hub's settings."""
    start = f"import django, sys; django.setup(); exec({program!r})"
    return hub.finish("worker", "python", "-c", start, *argument)


def states(ask: Callable[[str], Iterable[tuple[Any, ...]]]) -> States:
    return {
        table: [str(row[0]) for row in ask(f"SELECT {column} FROM {table} ORDER BY id")]
        for table, column in TOLD.items()
    }


def wait_for(look: Callable[[], States], count: int) -> States:
    ends = time.monotonic() + SENT_S
    while (found := look())["alerts_delivery"] != ["sent"] * count:
        assert time.monotonic() < ends, json.dumps(found)
        time.sleep(0.2)
    return found


def kill(process: Process) -> None:
    """End a process and what it started, at once and without a word."""
    os.killpg(process.pid, signal.SIGKILL)


DELIVER = """
import time
from hub.alerts.delivery import deliver
while True:
    deliver()
    time.sleep(0.2)
"""


def embedded(program: str, *argument: str) -> tuple[str, ...]:
    start = f"import django, sys; django.setup(); exec({program!r})"
    return (sys.executable, "-c", start, *argument)


def test_a_sender_killed_beside_sqlite(tmp_path: Path) -> None:
    env = hubs.environment(DATA_DIR=str(tmp_path))

    prepared.database(tmp_path, env, ROOT)

    def look() -> States:
        with closing(sqlite3.connect(tmp_path / prepared.NAME, timeout=60)) as store:
            return states(store.execute)

    with http_receiver() as receiver:
        seed = embedded(SEED, f"{receiver.url} 0 {INCIDENTS}")
        subprocess.run(seed, env=env, cwd=ROOT, check=True)
        receiver.wait_s = HELD_S
        loop = embedded(DELIVER)
        with running(*loop, log=tmp_path / "1.log", env=env, cwd=ROOT) as sender:
            receiver.wait_for(1)
            kill(sender)
        receiver.wait_s = 0
        with running(*loop, log=tmp_path / "2.log", env=env, cwd=ROOT):
            said = wait_for(look, INCIDENTS)

    assert set(heard(receiver)) == {f"/{n}" for n in range(INCIDENTS)}
    assert set(heard(receiver).values()) <= {1, 2}
    assert "lost" in said["alerts_attempt"]


def heard(receiver: Receiver) -> Counter[str]:
    return Counter(one.path for one in receiver.heard)


def test_worker_beat_evaluation_and_redis_killed_while_they_tell(
    tmp_path: Path,
) -> None:
    with (
        http_receiver() as receiver,
        hubs.production(tmp_path, is_new=False) as hub,
        unruly_redis(hub.environment("worker")["REDIS_URL"], tmp_path / "redis") as bus,
        ExitStack() as stack,
    ):
        stack.enter_context(hub.run("beat"))
        busy = f"{receiver.url} {BUSY_MACHINES}"
        ticker = stack.enter_context(hub.run("web", *embedded(BUSY, busy)))
        ticker.wait_for_line("ticking", within_s=START_S)
        shell(hub, SEED, f"{receiver.url} 0 {INCIDENTS}")
        receiver.wait_s = HELD_S
        # Not before: what they send is to be under way when they are killed.
        doomed = [
            stack.enter_context(hub.run(name))
            for name in ("beat", "worker", "alertserve")
        ]
        # Some messages have arrived, and nobody has written that down.
        receiver.wait_for(1, within_s=START_S)
        bus.kill()
        for process in doomed:
            kill(process)
        receiver.wait_s = 0
        for name in ("worker", "alertserve"):
            stack.enter_context(hub.run(name))
        bus.start(ready="Ready to accept conn")
        database = hub.environment("worker")["TIMESCALE_URL"]
        with psycopg.connect(database, autocommit=True) as store:
            ask = store.execute
            found = wait_for(lambda: states(ask), INCIDENTS + BUSY_MACHINES)

    counts = heard(receiver)
    incidents = {f"/{n}" for n in range(INCIDENTS)}
    assert set(counts) == incidents | {f"/busy/{n}" for n in range(BUSY_MACHINES)}
    assert set(counts.values()) <= {1, 2}
    # Otherwise nobody was killed at the moment that this is about.
    assert "lost" in found["alerts_attempt"]
    keys = {one.headers["X-Sysmonstm-Delivery"] for one in receiver.heard}
    assert len(keys) == INCIDENTS + BUSY_MACHINES
