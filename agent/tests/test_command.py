"""The command, as a real process."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sysmonstm_agent import __version__
from sysmonstm_proto import metrics_pb2 as pb

from tests.conftest import FIXTURES
from tests.hub import Conversation, Hub
from tests.patience import PATIENCE_S, until

pytestmark = pytest.mark.process

# About one second is usual; somebody who is asked to go must not wait for a hub.
ENDS_S = 9
COMMAND = (sys.executable, "-m", "sysmonstm_agent")


def environment(**ours: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("COLLECTOR_")}
    common = {
        "COLLECTOR_MACHINE_ID": "web-1",
        "COLLECTOR_SPOOL_DIR": "memory",
        # Not this machine's own agent's, with its credential.
        "COLLECTOR_STATE_DIR": "/nonexistent",
        "LOG_FORMAT": "json",
    }
    return kept | common | ours


def run(*arguments: str, **ours: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*COMMAND, *arguments),
        env=environment(**ours),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_once_prints_a_table() -> None:
    ended = run("--once")

    assert (ended.returncode, ended.stderr) == (0, "")
    head, *lines = ended.stdout.splitlines()
    assert head.startswith("web-1, ")
    (memory,) = (line for line in lines if line.startswith("system.memory.limit"))
    assert re.fullmatch(r"system\.memory\.limit +[0-9.]+ [MGT]iB", memory)
    # Numbers end, and units begin, in one column.
    ends = {line.rindex(" ") for line in lines if re.search(r"\d \S+$", line)}
    assert len(ends) == 1
    # The agent's readings of itself come last.
    own = [line.startswith("sysmonstm.") for line in lines if not line[0].isspace()]
    assert own == sorted(own)


def test_once_takes_two_readings_so_that_there_are_rates() -> None:
    ended = run("--json")

    readings = {
        (reading["metric"], *reading["attributes"].values()): reading["value"]
        for reading in json.loads(ended.stdout)["readings"]
    }
    assert 0 <= readings["system.cpu.utilization",] <= 1
    assert readings["sysmonstm.agent.collector.success", "cpu"] == 1


def test_json_is_json_with_null_for_what_has_no_number() -> None:
    ended = run(
        "--json",
        COLLECTOR_PROC_ROOT=f"{FIXTURES}/web/proc",
        COLLECTOR_SYS_ROOT=f"{FIXTURES}/web/sys",
    )

    assert ended.returncode == 0
    document = json.loads(ended.stdout)
    assert document["machine_id"] == "web-1"
    by_name = {reading["metric"]: reading for reading in document["readings"]}
    assert by_name["system.memory.utilization"] == {
        "metric": "system.memory.utilization",
        "unit": "1",
        "kind": "gauge",
        "attributes": {},
        "value": 0.375,
    }
    # No processor time passes in a fixture.
    assert by_name["system.cpu.utilization"]["value"] is None


def test_version() -> None:
    ended = run("--version")

    assert (ended.returncode, ended.stdout) == (0, f"sysmonstm-agent {__version__}\n")


def test_a_bad_variable_is_one_sentence_and_exit_code_2() -> None:
    ended = run(COLLECTOR_COLLECTION_INTERVAL="soon")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "sysmonstm-agent: COLLECTOR_COLLECTION_INTERVAL must be a number of seconds"
        " from 1 to 300, not 'soon'.\n"
    )


def test_a_flag_mirrors_its_variable_and_wins() -> None:
    ended = run(
        "--interval", "0", "--machine-id", "web-2", COLLECTOR_COLLECTION_INTERVAL="5"
    )

    assert ended.returncode == 2
    assert "COLLECTOR_COLLECTION_INTERVAL" in ended.stderr
    assert json.loads(run("--json", "--machine-id", "b").stdout)["machine_id"] == "b"


@asynccontextmanager
async def agent(**ours: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, env=environment(**ours), stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def event(process: Process, name: str) -> Mapping[str, object]:
    """Read the log up to an event."""
    assert process.stderr
    async with asyncio.timeout(PATIENCE_S):
        async for line in process.stderr:
            entry: dict[str, object] = json.loads(line)
            if entry["event"] == name:
                return entry
    raise AssertionError(f"{name} was not logged")


async def end(process: Process, number: signal.Signals) -> float:
    """Send the signal; return how long the end took."""
    started = time.monotonic()
    process.send_signal(number)
    async with asyncio.timeout(PATIENCE_S):
        code = await process.wait()
    assert code == 0
    return time.monotonic() - started


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_streams_this_machine_until_a_signal(number: signal.Signals) -> None:
    heard: list[pb.MetricsRequest] = []

    async def script(talk: Conversation) -> None:
        hello = await talk.welcome()
        assert (hello.machine_id, hello.interval_ms) == ("web-1", 1_000)
        for kind in ("layout", "samples", "samples"):
            heard.append(await talk.next(kind))
            for sample in heard[-1].samples.samples:
                await talk.ack(sample.sequence)
        await talk.rest()

    async with Hub(script).serving() as hub:
        url = f"127.0.0.1:{hub.port}"
        async with agent(
            COLLECTOR_AGGREGATOR_URL=url, COLLECTOR_COLLECTION_INTERVAL="1"
        ) as process:
            await until(lambda: len(heard) == 3)
            took_s = await end(process, number)
        await hub.played()

    assert took_s < ENDS_S
    layout, (first,), (second,) = (
        heard[0].layout,
        heard[1].samples.samples,
        heard[2].samples.samples,
    )
    assert len(layout.series) >= 60
    assert (first.sequence, second.sequence) == (1, 2)
    assert second.time_unix_ms > first.time_unix_ms
    assert not [v for v in floats(second, layout, "Cel") if not math.isfinite(v)]


def floats(sample: pb.Sample, layout: pb.Layout, but: str) -> list[float]:
    """Return the values of the series whose metrics have another unit than this."""
    values = struct.unpack(f"<{len(layout.series)}f", sample.values)
    return [
        value
        for value, series in zip(values, layout.series, strict=True)
        if layout.metrics[series.metric].unit != but
    ]


async def test_it_ends_in_time_while_it_waits_for_a_hub() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with agent(
            COLLECTOR_AGGREGATOR_URL=f"127.0.0.1:{taken.getsockname()[1]}"
        ) as process:
            away = await event(process, "hub.away")
            took_s = await end(process, signal.SIGTERM)

    assert str(away["trouble"]).startswith("UNAVAILABLE")
    assert took_s < ENDS_S


async def test_it_ends_in_time_while_a_hub_says_nothing() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        async with agent(
            COLLECTOR_AGGREGATOR_URL=f"127.0.0.1:{deaf.getsockname()[1]}"
        ) as process:
            await event(process, "agent.started")
            await asyncio.sleep(0.5)
            took_s = await end(process, signal.SIGTERM)

    assert took_s < ENDS_S


async def test_it_ends_in_time_while_a_hub_never_acknowledges() -> None:
    async def script(talk: Conversation) -> None:
        await talk.welcome()
        await talk.rest()
        await asyncio.sleep(PATIENCE_S)

    async with (
        Hub(script).serving() as hub,
        agent(COLLECTOR_AGGREGATOR_URL=f"127.0.0.1:{hub.port}") as process,
    ):
        await event(process, "hub.connected")
        took_s = await end(process, signal.SIGTERM)

    assert took_s < ENDS_S


async def test_spool_prints_what_waits_also_while_an_agent_runs(
    tmp_path: Path,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ours = {
            "COLLECTOR_AGGREGATOR_URL": f"127.0.0.1:{taken.getsockname()[1]}",
            "COLLECTOR_COLLECTION_INTERVAL": "1",
            "COLLECTOR_SPOOL_DIR": str(tmp_path),
        }
        assert "there is no spool yet" in run("spool", **ours).stdout
        async with agent(**ours) as process:
            await event(process, "hub.away")
            await asyncio.sleep(1.2)
            found = json.loads(run("spool", "--json", **ours).stdout)
            table = run("spool", **ours).stdout
            second = run(**ours)
            await end(process, signal.SIGTERM)
        after = run("spool", **ours).stdout

    assert found["agent_pid"] == process.pid
    assert found["spooled"] == found["produced"] > 0
    assert (found["evicted"], found["lost"]) == (0, 0)
    assert found["oldest_time"] <= found["newest_time"]
    assert re.search(rf"^agent +running, process {process.pid}$", table, re.M)
    assert re.search(r"^waiting +\d+, from 20", table, re.M)
    assert re.search(r"^agent +not running$", after, re.M)
    # A second agent of the same name is told so in one sentence.
    assert second.returncode == 2
    assert second.stderr.startswith("sysmonstm-agent: another agent (process ")
    assert second.stderr.count("\n") == 1


def test_spool_says_where_there_is_none_to_look_at() -> None:
    ended = run("spool")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "sysmonstm-agent: the spool is in memory: only the agent itself sees it.\n"
    )
