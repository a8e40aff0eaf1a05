"""Containers, from the answers of a real Podman."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from sysmonstm_agent.containers import engine as tongue
from sysmonstm_agent.containers.container import STATES
from sysmonstm_agent.files import Files

from tests.conftest import machine
from tests.containing import NOW_S, collect, containers, told
from tests.engine import Engine, recorded

# What is told of each; the remarks are what the engine says.
STATE_OF = {
    "web": "running",
    "sick": "running",
    "rootfs": "running",
    "flapping": "running",
    "stubborn": "running",  # "stopping": it does not mind SIGTERM.
    "paused": "paused",
    "fresh": "created",
    "job": "exited",
    "left": "exited",  # "stopped": nobody has cleaned up after it.
}


def test_each_container_is_in_the_state_that_it_is_in(
    folder: Path, engine: Engine
) -> None:
    engine.replay()

    readings = collect(containers(folder))

    states = {name: readings[f"container.state{{{name}}}"] for name in STATE_OF}
    assert {name: STATES[int(state)] for name, state in states.items()} == STATE_OF
    for state, count in Counter(STATE_OF.values()).items():
        assert readings[f"container.count{{{state}}}"] == count
    assert "container.count{unknown}" not in readings


def test_one_that_works_has_all_its_readings(folder: Path, engine: Engine) -> None:
    engine.replay("web")
    collector = containers(folder)
    collect(collector)
    [stats] = engine.stats.values()
    before_s = tongue.moment_s(stats["read"])
    stats["read"] = "2026-11-20T10:12:00.000000001Z"
    elapsed_s = tongue.moment_s(stats["read"]) - before_s
    # What the engine calls sent is what has come: it looks from the other end.
    stats["networks"]["network"]["tx_bytes"] += 5000

    readings = told(collect(collector, 105.0), "web")

    row = recorded()["web"]
    started_s = tongue.moment_s(row["inspect"]["State"]["StartedAt"])
    assert readings == pytest.approx(
        {
            "state{}": 0,
            "unhealthy{}": 0,
            "restarts{}": 0,
            "uptime{}": max(0.0, NOW_S - started_s),
            "cpu.usage{}": 0,
            "memory.usage{}": row["stats"]["memory_stats"]["usage"],
            "memory.utilization{}": row["stats"]["memory_stats"]["usage"] / 2**26,
            "network.io{,receive}": 5000 / elapsed_s,
            "network.io{,transmit}": 0,
            "disk.io{,read}": 0,
            "disk.io{,write}": 0,
        }
    )


def test_podman_that_tells_its_own_end_is_believed(
    folder: Path, engine: Engine
) -> None:
    engine.replay("web")
    engine.podman = "4.4.0"

    with closing(tongue.Engine(str(folder / "engine.sock"))) as asked:
        [one] = asked.containers()
        counts = asked.stats(one)

    network = recorded()["web"]["stats"]["networks"]["network"]
    assert counts is not None
    assert counts.received_bytes == network["rx_bytes"]
    assert counts.sent_bytes == network["tx_bytes"]


@pytest.mark.parametrize("name", ["sick", "paused", "rootfs"])
def test_one_without_a_network_of_its_own_has_no_traffic(
    folder: Path, engine: Engine, name: str
) -> None:
    engine.replay(name)

    readings = told(collect(containers(folder)), name)

    assert recorded()[name]["stats"]["networks"]["network"]["rx_bytes"] == 0
    assert "network.io{,receive}" not in readings
    assert "network.io{,transmit}" not in readings
    assert math.isnan(readings["disk.io{,write}"])
    # What the engine calls a limit is the machine's memory: there is none.
    assert "memory.utilization{}" not in readings


def test_health_comes_from_the_state_where_the_list_does_not_tell_it(
    folder: Path, engine: Engine
) -> None:
    engine.replay()

    readings = collect(containers(folder))

    unhealthy = {s: v for s, v in readings.items() if "unhealthy" in s}
    assert unhealthy == {
        "container.unhealthy{sick}": 1,
        "container.unhealthy{web}": 0,
    }


@pytest.mark.parametrize("name", ["stubborn", "left", "job", "fresh"])
def test_an_empty_answer_about_counters_is_no_failure(
    folder: Path, engine: Engine, name: str
) -> None:
    engine.replay("web", name)
    # It ended between the list and the question.
    engine.list[-1]["State"] = engine.list[0]["State"] = "running"

    readings = collect(containers(folder))

    assert "cpu.usage{}" in told(readings, "web")
    assert "cpu.usage{}" not in told(readings, name)


def test_a_restart_is_told_of_with_the_next_look(folder: Path, engine: Engine) -> None:
    engine.replay("flapping")
    collector = containers(folder)
    before = told(collect(collector), "flapping")
    [answer] = engine.inspect.values()
    answer["RestartCount"] += 1

    now = told(collect(collector, 105.0), "flapping")

    assert engine.list[0]["State"] == "running"
    assert now["restarts{}"] == before["restarts{}"] + 1


def test_a_group_that_was_left_behind_is_not_read(
    folder: Path, engine: Engine, tmp_path: Path
) -> None:
    engine.replay("left", "stubborn")
    root = tmp_path / "sys/fs/cgroup"
    for row in engine.list:
        group = root / f"libpod_parent/libpod-{row['Id']}"
        group.mkdir(parents=True)
        (group / "cpu.stat").write_text("usage_usec 4000\n")
    (root / "cgroup.controllers").write_text("cpu memory\n")
    files = Files(machine("web").proc_root, str(tmp_path / "sys"), linux=True)

    readings = collect(containers(folder, files))

    assert told(readings, "left") == {"state{}": 4, "restarts{}": 0}
    assert "cpu.usage{}" in told(readings, "stubborn")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-20T10:10:05.555809708Z", 1795169405.555809),
        ("2026-11-20T11:10:05.5+01:00", 1795169405.5),
    ],
)
def test_a_moment_may_be_in_any_zone(text: str, seconds: float) -> None:
    assert tongue.moment_s(text) == seconds


def test_memory_leaves_out_what_version_1_says_can_be_had_back() -> None:
    answer = recorded()["web"]["stats"]
    answer["memory_stats"] = {
        "usage": 2097152,
        "stats": {"total_inactive_file": 1048576},
    }

    assert tongue.counted(answer).memory_bytes == 1048576
