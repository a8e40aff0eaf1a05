"""The prober against a real gRPC server and a real bus; `hub/tests/test_probing.py`
has the browser's part, in a real hub.
"""

from __future__ import annotations

import asyncio
import math
import struct
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.utils import timezone

from hub.events.bus import get_bus
from hub.health import report
from hub.health.prober import Prober
from hub.health.shelf import get_shelf
from hub.health.stages import COMMIT, EVENT, FRAME, Late
from hub.machines.models import Machine
from hub.machines.registry import CANARY
from hub.rpc.server import GrpcServer
from hub.storage import raw
from hub.storage.models import Sample
from hub.testing.patience import PATIENCE_S
from hub.testing.processes import free_port

pytestmark = pytest.mark.django_db(transaction=True)


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    server = GrpcServer("127.0.0.1", 0)
    port = await server.start()
    try:
        yield port
    finally:
        await server.stop(2)


@asynccontextmanager
async def probing(port: int, *, deadline_s: float = 0.5) -> AsyncIterator[Prober]:
    """Probe quickly; no browser's part: nobody listens where the web would be."""
    prober = Prober(
        grpc_address=f"127.0.0.1:{port}",
        web=f"http://127.0.0.1:{free_port()}",
        agent_token="",
        bus=get_bus(),
        shelf=get_shelf(),
        interval_s=0.05,
        deadline_s=deadline_s,
        sleep=lambda seconds: asyncio.sleep(min(seconds, 0.1)),
    )
    task = asyncio.create_task(prober.run())
    try:
        yield prober
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await get_bus().close()


async def judged(wanted: Callable[[report.Judgement], bool]) -> report.Judgement:
    async with asyncio.timeout(PATIENCE_S):
        while not wanted(found := report.judgement()):  # noqa: ASYNC110 - another's work
            await asyncio.sleep(0.02)
    return found


async def stored(count: int) -> None:
    """Wait until so many samples are in the database."""
    async with asyncio.timeout(PATIENCE_S):
        while await Sample.objects.acount() < count:  # noqa: ASYNC110 - another's work
            await asyncio.sleep(0.02)


def answered(found: report.Judgement, *stages: str) -> bool:
    status = found.status
    return status is not None and all(
        status.seconds[stage] is not None for stage in stages
    )


async def test_commit_and_event_are_timed_and_the_dark_screen_is_told() -> None:
    async with serving() as port, probing(port):
        found = await judged(lambda found: answered(found, COMMIT, EVENT))

    assert found.status is not None
    seconds = found.status.seconds
    assert 0 < (seconds[COMMIT] or 0) < 0.5
    assert 0 < (seconds[EVENT] or 0) < 0.5
    assert seconds[FRAME] is None
    assert found.late is Late.SHOWING
    assert found.status.late_since_ms is not None


async def test_what_was_measured_is_the_next_sample() -> None:
    async with serving() as port, probing(port):
        await stored(4)

    canary = await Machine.objects.aget(machine_id=CANARY)
    rows = [row async for row in Sample.objects.filter(machine_id=canary.pk)]
    first, *later = sorted(rows, key=lambda row: row.sequence)
    # The first sample has nothing to say yet.
    assert all(math.isnan(value) for value in struct.unpack("<3f", first.values))
    rounds = [struct.unpack("<3f", row.values) for row in later]
    # A busy machine is late now and then, and tells of it as of the dark screen.
    assert all(0 < seconds <= 30 for told in rounds for seconds in told)
    assert min(commit for commit, _, _ in rounds) < 0.5
    assert min(event for _, event, _ in rounds) < 0.5
    assert {frame for _, _, frame in rounds} == {30}


async def test_percentiles_are_those_of_the_stored_samples() -> None:
    async with serving() as port, probing(port):
        await stored(4)

    stages = {stage.name: stage for stage in await asyncio.to_thread(_stages)}

    assert stages[COMMIT].count > 0
    assert 0 < (stages[COMMIT].p50_s or 0) <= (stages[COMMIT].p99_s or 0)
    assert stages[FRAME].p50_s == 30


async def test_a_database_that_takes_nothing_is_told_and_so_is_its_return(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = threading.Event()
    gate.set()
    write = raw.write

    def slow(*batch: Any) -> raw.Written:
        gate.wait(PATIENCE_S)
        return write(*batch)

    monkeypatch.setattr("hub.storage.raw.write", slow)
    async with serving() as port, probing(port):
        await judged(lambda found: answered(found, COMMIT))
        gate.clear()
        late = await judged(lambda found: found.late is Late.STORING)
        gate.set()
        await judged(lambda found: found.late is not Late.STORING)

    assert "did not store its own test sample" in late.sentence


async def test_a_hub_that_is_away_is_told_until_it_is_back() -> None:
    port = free_port()
    async with probing(port):
        await judged(lambda found: found.late is Late.STORING)
        server = GrpcServer("127.0.0.1", port)
        await server.start()
        try:
            await judged(lambda found: answered(found, COMMIT))
        finally:
            await server.stop(2)
        await judged(lambda found: found.late is Late.STORING)


async def test_numbers_go_on_where_they_were_after_a_restart_of_the_hub() -> None:
    port = free_port()
    async with probing(port):
        for _ in range(2):
            server = GrpcServer("127.0.0.1", port)
            await server.start()
            await stored(2 + await Sample.objects.acount())
            await server.stop(2)

    rows = [row async for row in Sample.objects.order_by("time")]
    numbers = [row.sequence for row in rows]
    assert len(numbers) >= 4
    assert numbers == sorted(set(numbers))


async def test_it_ends_at_once_while_a_round_is_waited_for() -> None:
    async with serving() as port, probing(port, deadline_s=30):
        await asyncio.sleep(0.5)  # its screen is dark: the round is under way
        loop = asyncio.get_running_loop()
        began_s = loop.time()
    assert loop.time() - began_s < 15


def _stages() -> list[report.Stage]:
    from django.db import connections

    try:
        return report.stages(None, timezone.now())
    finally:
        connections.close_all()
