"""Every incident is told at least once and at most twice, whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from hub.alerts.tests.receivers import Receiver, http_receiver
from hub.testing import hubs
from hub.testing.hubs import Production
from hub.testing.processes import Process, running

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]

INCIDENTS = 8

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

STATES = """
import json
from hub.alerts.models import Attempt, Delivery
print(json.dumps({
    "deliveries": list(Delivery.objects.values_list("state", flat=True)),
    "attempts": list(Attempt.objects.values_list("result", flat=True)),
}))
"""


def shell(hub: Production, program: str, *argument: str) -> str:
    """Run a program within the hub's settings."""
    start = f"import django, sys; django.setup(); exec({program!r})"
    return hub.finish("worker", "python", "-c", start, *argument)


def states(hub: Production) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(shell(hub, STATES).splitlines()[-1])
    return found


def wait_for(hub: Production, count: int, within_s: float) -> dict[str, list[str]]:
    ends = time.monotonic() + within_s
    while (found := states(hub))["deliveries"] != ["sent"] * count:
        assert time.monotonic() < ends, found
        time.sleep(1)
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

    def finish(*command: str) -> str:
        done = subprocess.run(
            command, env=env, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    with http_receiver() as receiver:
        finish(sys.executable, "manage.py", "migrate", "--verbosity=0")
        finish(*embedded(SEED, f"{receiver.url} 0 {INCIDENTS}"))
        receiver.wait_s = 3
        loop = embedded(DELIVER)
        with running(*loop, log=tmp_path / "1.log", env=env, cwd=ROOT) as sender:
            receiver.wait_for(1, within_s=30)
            kill(sender)
        receiver.wait_s = 0
        with running(*loop, log=tmp_path / "2.log", env=env, cwd=ROOT):
            ends = time.monotonic() + 60
            while (said := found(finish))["deliveries"] != ["sent"] * INCIDENTS:
                assert time.monotonic() < ends, said
                time.sleep(1)

    assert set(heard(receiver)) == {f"/{n}" for n in range(INCIDENTS)}
    assert set(heard(receiver).values()) <= {1, 2}
    assert "lost" in said["attempts"]


def found(finish: Callable[..., str]) -> dict[str, list[str]]:
    said: dict[str, list[str]] = json.loads(finish(*embedded(STATES)).splitlines()[-1])
    return said


def heard(receiver: Receiver) -> Counter[str]:
    return Counter(one.path for one in receiver.heard)


def test_worker_and_beat_killed_while_they_send(tmp_path: Path) -> None:
    with http_receiver() as receiver, hubs.production(tmp_path) as hub:
        hub.finish("migrate")
        shell(hub, SEED, f"{receiver.url} 0 {INCIDENTS}")
        receiver.wait_s = 3
        with ExitStack() as stack:
            stack.enter_context(hub.run("beat"))
            beat = stack.enter_context(hub.run("beat"))
            worker = stack.enter_context(hub.run("worker"))
            # Some messages have arrived, and nobody has written that down.
            receiver.wait_for(1, within_s=60)
            kill(worker)
            kill(beat)
            stack.enter_context(hub.run("worker"))
            receiver.wait_s = 0
            found = wait_for(hub, INCIDENTS, within_s=90)

    counts = heard(receiver)
    assert set(counts) == {f"/{n}" for n in range(INCIDENTS)}
    assert set(counts.values()) <= {1, 2}
    # Otherwise nobody was killed at the moment that this is about.
    assert "lost" in found["attempts"]
    keys = {one.headers["X-Sysmonstm-Delivery"] for one in receiver.heard}
    assert len(keys) == INCIDENTS
