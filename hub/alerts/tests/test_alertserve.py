"""Two real processes on TimescaleDB and Redis, and the death of one of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from hub.testing import hubs
from hub.testing.hubs import Production

pytestmark = [pytest.mark.process, pytest.mark.lasts]

START_S = 120
# A lease, a breath, and a busy machine.
TAKEN_OVER_S = 240


def ask(hub: Production, query: str) -> list[str]:
    """Put a query to the database; return the first column."""
    address = hub.environment("web")["TIMESCALE_URL"]
    with psycopg.connect(address, autocommit=True) as connection:
        rows = connection.execute(query.encode())
        return [row[0] for row in rows] if rows.description else []


def until(what: Callable[[], object], expected: object) -> None:
    deadline = time.monotonic() + TAKEN_OVER_S
    while (said := what()) != expected:
        assert time.monotonic() < deadline, f"{said!r}, not {expected!r}"
        time.sleep(0.5)


def alerts(hub: Production) -> list[str]:
    return ask(hub, "SELECT state FROM alerts_alert")


def owners(hub: Production) -> int:
    query = "SELECT DISTINCT owner FROM alerts_share WHERE owner <> ''"
    return len(ask(hub, query))


def test_one_process_dies_and_the_other_ends_what_it_began(tmp_path: Path) -> None:
    with hubs.production(tmp_path, is_new=False) as hub, ExitStack() as stack:
        ask(
            hub,
            "UPDATE alerts_rule SET enabled = true, metric = 'system.uptime',"
            " warning = 0, critical = null, for_s = 0, clear = null, clear_for_s = 0"
            " WHERE built_in = 'memory-full'",
        )
        processes = [stack.enter_context(hub.run("alertserve")) for _ in range(2)]
        ear = stack.enter_context(hub.run("grpcserve"))
        ear.wait_for_port(hub.grpc_port, within_s=START_S)
        until(lambda: owners(hub), 2)
        stack.enter_context(hub.run("agent"))
        until(lambda: alerts(hub), ["firing"])
        hub.finish("alertserve", "python", "deploy/probe.py", "alertserve")

        [owner] = ask(
            hub,
            "SELECT owner FROM alerts_share, machines_machine"
            " WHERE number = machines_machine.id % 16",
        )
        killed = next(p for p in processes if owner in p.output())
        os.kill(killed.pid, signal.SIGKILL)
        # Nobody tells the survivor: it reads the rules now and then by itself.
        ask(hub, "UPDATE alerts_rule SET warning = 1e12 WHERE enabled")
        until(lambda: alerts(hub), ["resolved"])

        assert owners(hub) == 1
        survivor = next(p for p in processes if p is not killed)
        assert survivor.stop(within_s=hub.grace_s("alertserve")) == 0
        assert "Traceback" not in survivor.output()
        assert owners(hub) == 0
