"""A real agent on a machine that is really busy: the alert names who it was."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async

from hub.alerts import changed
from hub.alerts.culprit import culprit, lines
from hub.alerts.models import Alert, Culprit, Rule
from hub.alerts.watch import Watch
from hub.events.bus import get_bus, set_bus
from hub.rpc.tests.agent import serving
from hub.testing import hubs

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

# What is promised is seconds; a busy machine gets more.
WITHIN_S = 120


@pytest.fixture(autouse=True)
def _own_memory() -> Iterator[None]:
    set_bus(None)
    yield
    set_bus(None)


# Threads that hash, which lets go of the interpreter: more than others on this machine
# are likely to have, so that theirs is a large share.
BURN = """
import hashlib, threading
burn = lambda: hashlib.pbkdf2_hmac("sha256", b"x", b"x", 10**9)
for _ in range(16):
    threading.Thread(target=burn).start()
"""


@contextmanager
def burning() -> Iterator[int]:
    """Use every core by one process, under a name of its own; yield its pid."""
    # A short path: what is long is cut off at its end, where the secret stands.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        program = Path(folder) / "burner"
        program.symlink_to(Path(sys.executable).resolve())
        with subprocess.Popen([program, "-I", "-c", BURN, "--token", "hunter2"]) as one:
            try:
                yield one.pid
            finally:
                one.kill()


@asynccontextmanager
async def watching() -> AsyncIterator[None]:
    task = asyncio.create_task(Watch(get_bus()).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@sync_to_async
def watch_the_processor() -> None:
    Rule.objects.create(
        name="The processor does anything",
        metric="system.cpu.utilization",
        matchers=[{"name": "", "op": "=", "glob": ""}],
        warning=0.05,
    )
    changed.rules()


@sync_to_async
def named() -> Alert | None:
    found = Culprit.objects.select_related("alert").first()
    return found.alert if found else None


async def test_the_process_that_is_busy_is_named(tmp_path: Path) -> None:
    with burning() as pid:
        async with serving() as (_, port), watching():
            log = tmp_path / "agent.log"
            with hubs.agent(f"127.0.0.1:{port}", "web-1", log):
                # The first two looks at the processes.
                await asyncio.sleep(4)
                await watch_the_processor()
                began_s = time.monotonic()
                while (alert := await named()) is None:
                    assert time.monotonic() - began_s < WITHIN_S, log.read_text()
                    await asyncio.sleep(0.1)

    worst = (await sync_to_async(culprit)(alert))[:10]
    said = await sync_to_async(lines)(alert)
    # Others may be as busy as the machine lets one be.
    assert worst == sorted(worst, key=lambda one: -one.cpu)
    [ours] = [one for one in worst if one.pid == pid]
    assert (ours.name, ours.cpu > 0.02) == ("burner", True)
    assert ours.user
    assert "hunter2" not in ours.command
    assert ours.command.endswith("--token ***")
    begins = f"burner (pid {pid}, user {ours.user}) used "
    assert said[worst.index(ours)].startswith(begins)
