"""Containers, from an engine that answers as its reference says."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from sysmonstm_agent.collector import NoData
from sysmonstm_agent.containers.engine import EngineFailed
from sysmonstm_agent.layout import Layouts
from sysmonstm_proto import limits

from tests.conftest import machine
from tests.containing import NOW_S, collect, containers, told
from tests.engine import Engine, listening
from tests.test_values import spell

FIRST = f"{1:064x}"


def test_an_engine_tells_of_a_container(folder: Path, engine: Engine) -> None:
    engine.add("web")
    collector = containers(folder)
    collect(collector)
    stats = engine.stats[FIRST]
    stats["read"] = "2026-11-20T08:00:05.500000001Z"
    stats["cpu_stats"]["cpu_usage"]["total_usage"] += 2_500_000_000
    stats["networks"]["eth1"]["rx_bytes"] += 10_000
    stats["blkio_stats"]["io_service_bytes_recursive"][1]["value"] += 50_000

    readings = collect(collector, 105.0)

    assert told(readings, "web") == pytest.approx(
        {
            "state{}": 0,
            "unhealthy{}": 0,
            "restarts{}": 2,
            "uptime{}": NOW_S - 1795154400.987654,
            "cpu.usage{}": 0.5,
            "memory.usage{}": 104857600 - 37748736,
            "memory.utilization{}": (104857600 - 37748736) / 268435456,
            "network.io{,receive}": 2000,
            "network.io{,transmit}": 0,
            "disk.io{,read}": 0,
            "disk.io{,write}": 10_000,
        }
    )
    assert readings["container.count{running}"] == 1
    assert readings["sysmonstm.agent.container.omitted"] == 0


def test_the_engine_is_only_asked_and_only_three_things(
    folder: Path, engine: Engine
) -> None:
    engine.add("web")
    engine.add("job", like="job")

    collect(containers(folder))

    job = f"{2:064x}"
    assert engine.asked == [
        "GET /containers/json?all=1 HTTP/1.1",
        f"GET /containers/{FIRST}/json HTTP/1.1",
        f"GET /containers/{FIRST}/stats?stream=false&one-shot=true HTTP/1.1",
        f"GET /containers/{job}/json HTTP/1.1",
    ]


def test_an_id_never_leads_elsewhere(folder: Path, engine: Engine) -> None:
    engine.add("web")["Id"] = "../../images/json?x="

    with pytest.raises(EngineFailed, match="an id is no id"):
        collect(containers(folder))
    assert len(engine.asked) == 1


def test_a_stopped_container_has_a_state_and_no_numbers(
    folder: Path, engine: Engine
) -> None:
    engine.add("job", like="job")

    readings = collect(containers(folder))

    assert told(readings, "job") == {"state{}": 4, "restarts{}": 0}


def test_health_is_as_new_as_the_list(folder: Path, engine: Engine) -> None:
    row = engine.add("web")
    collector = containers(folder)
    collect(collector)
    row["Status"] = "Up 2 hours (unhealthy)"

    readings = collect(collector, 105.0)

    assert told(readings, "web")["unhealthy{}"] == 1
    # The rest of it was not asked for again.
    assert sum("/json HTTP" in line for line in engine.asked) == 1


def test_a_container_that_restarts_is_asked_about_at_once(
    folder: Path, engine: Engine
) -> None:
    row = engine.add("web")
    collector = containers(folder)
    collect(collector)
    row["State"] = "restarting"
    engine.inspect[FIRST]["RestartCount"] = 3

    readings = collect(collector, 105.0)

    assert told(readings, "web") == {
        "state{}": 2,
        "unhealthy{}": 0,
        "restarts{}": 3,
    }


def test_a_container_that_goes_while_one_looks_is_no_failure(
    folder: Path, engine: Engine
) -> None:
    engine.add("web")
    engine.add("brief")
    del engine.stats[f"{2:064x}"]
    engine.inspect.pop(f"{2:064x}")

    readings = collect(containers(folder))

    assert told(readings, "brief") == {"state{}": 0, "unhealthy{}": 0}
    assert told(readings, "web")["restarts{}"] == 2


def test_what_is_most_active_or_in_trouble_is_told_of_and_the_rest_counted(
    folder: Path, engine: Engine
) -> None:
    for number in range(60):
        engine.add(f"c{number:02}", number=number + 1)
    for number in range(20):
        engine.add(f"old{number:02}", like="job", number=number + 100)
    collector = containers(folder)
    collect(collector)
    work(engine, 60, 9)
    engine.list[58]["Status"] = "Up 1 minute (unhealthy)"

    readings = collect(collector, 105.0)

    names = {s for s in readings if s.startswith("container.state{")}
    assert len(names) == 50
    assert {"container.state{c59}", "container.state{c58}"} <= names
    assert "container.state{old00}" not in names
    assert readings["sysmonstm.agent.container.omitted"] == 30
    assert readings["container.count{running}"] == 60
    assert readings["container.count{exited}"] == 20


def work(engine: Engine, number: int, seconds: float) -> None:
    stats = engine.stats[f"{number:064x}"]
    stats["cpu_stats"]["cpu_usage"]["total_usage"] += int(seconds * 1e9)


def test_who_is_listed_stays_while_all_are_alike(folder: Path, engine: Engine) -> None:
    for number in range(10, 60):
        engine.add(f"c{number:02}", number=number)
    collector = containers(folder)
    first = collect(collector)
    for number in range(1, 10):
        engine.add(f"c{number:02}", number=number)

    second = collect(collector, 105.0)

    assert second.keys() == first.keys()
    assert second["sysmonstm.agent.container.omitted"] == 9


def test_who_is_listed_stays_until_another_is_twice_as_busy(
    folder: Path, engine: Engine
) -> None:
    for number in range(1, 61):
        engine.add(f"c{number:02}", number=number)
    collector = containers(folder)
    collect(collector)
    for number in range(1, 61):
        work(engine, number, 1.5 if number == 58 else 2.5 if number == 59 else 1)

    readings = collect(collector, 105.0)

    assert "container.state{c58}" not in readings
    assert "container.state{c59}" in readings


def test_an_engine_that_does_not_answer_costs_no_tick_its_time(
    folder: Path, engine: Engine
) -> None:
    engine.add("web")
    collector = containers(folder)
    before = collect(collector)
    engine.silent.set()
    list(collector.collect(105.0))  # Finds out that it is slow.

    took_s = []
    for now_s in (110.0, 115.0, 120.0):
        began_s = time.monotonic()
        readings = list(collector.collect(now_s))
        took_s.append(time.monotonic() - began_s)

    assert min(took_s) < 0.1
    assert {spell(r) for r in readings} == before.keys()
    assert readings[0].value == 20.0  # How old it is.
    with pytest.raises(Exception, match="has not answered for 60 s"):
        list(collector.collect(165.0))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 Broken\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n[{null}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9000002\r\n\r\n[]" + b" " * 9_000_000,
    ],
    ids=["an error", "no JSON", "no list", "no HTTP", "too much"],
)
def test_an_engine_that_makes_no_sense_is_a_failure(
    folder: Path, engine: Engine, answer: bytes
) -> None:
    engine.instead = answer

    with pytest.raises(EngineFailed):
        collect(containers(folder))


def test_without_engine_and_without_groups_there_is_nothing(folder: Path) -> None:
    with pytest.raises(NoData, match="no containers"):
        collect(containers(folder))


def test_a_socket_that_a_stopped_engine_left_behind_is_nothing(
    folder: Path,
) -> None:
    with listening(folder / "engine.sock"):
        pass

    with pytest.raises(NoData, match="no containers"):
        collect(containers(folder))


def test_looks_are_shared_by_those_who_collect(folder: Path, engine: Engine) -> None:
    engine.add("web")
    files = machine("web")
    collect(containers(folder, files))
    asked = len(engine.asked)

    collect(containers(folder, files), 100.0)

    assert len(engine.asked) == asked
    assert threading.active_count() < 20


def test_hostile_and_long_names_reach_the_wire_as_text_within_its_bounds(
    folder: Path, engine: Engine
) -> None:
    hostile = '"><img src=x onerror=alert(1)>{{ 7|add:7 }}\r\n\x1b[31m\u202e=cmd|'
    long = "ä" * 300
    for number, name in enumerate((hostile, f"{long}1", f"{long}2"), 1):
        engine.add(name, number=number)

    layout, _ = Layouts().arrange([*containers(folder).collect(100.0)])

    names = {dict(s.attributes).get("container.name", "") for s in layout.series}
    assert len(names - {""}) == 3
    assert all(len(name.encode()) <= limits.MAX_TEXT_BYTES for name in names)
    assert all(name.isprintable() for name in names)
    assert any(name.startswith('"><img src=x') for name in names)


def test_as_many_containers_as_are_told_of_leave_room_for_the_rest(
    folder: Path, engine: Engine
) -> None:
    for number in range(1, 200):
        engine.add(f"c{number}", number=number)

    series = collect(containers(folder))

    assert len(series) <= 50 * 11 + 10
