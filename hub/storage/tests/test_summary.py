from __future__ import annotations

from math import nan

import pytest

from hub.storage.layouts import LayoutInfo, SeriesInfo
from hub.storage.summary import Summary, plan
from hub.storage.tests.conftest import series, vector

EVERYTHING: list[tuple[SeriesInfo, float]] = [
    (series("system.cpu.utilization"), 0.25),
    (series("system.cpu.utilization", **{"cpu.mode": "user"}), 0.2),
    (series("system.cpu.utilization", **{"cpu.logical_number": "0"}), 0.5),
    (series("system.cpu.utilization", **{"cpu.logical_number": "1"}), 0.0),
    (series("system.cpu.logical.count"), 2),
    (series("system.cpu.load_average.1m"), 1.5),
    (series("system.cpu.load_average.5m"), 1.25),
    (series("system.cpu.load_average.15m"), 1.0),
    (series("system.memory.limit"), 1024),
    (series("system.memory.usage", **{"system.memory.state": "free"}), 512),
    (series("system.memory.usage", **{"system.memory.state": "used"}), 256),
    (series("system.memory.utilization"), 0.25),
    (series("system.paging.utilization"), 0.125),
    (series("system.process.count"), 200),
    (series("system.uptime"), 3600),
    (series("system.temperature", sensor="cpu"), 60),
    (series("system.temperature", sensor="disk"), 40),
]


def summary(*read: tuple[SeriesInfo, float]) -> Summary:
    layout = LayoutInfo(1, tuple(info for info, _ in read))
    return plan(layout).read(vector(*(value for _, value in read)))


def network(name: str, direction: str) -> SeriesInfo:
    return series(
        "system.network.io",
        **{"network.interface.name": name, "network.io.direction": direction},
    )


def disk(name: str, direction: str) -> SeriesInfo:
    return series(
        "system.disk.io", **{"system.device": name, "disk.io.direction": direction}
    )


def mount(point: str) -> SeriesInfo:
    return series(
        "system.filesystem.utilization", **{"system.filesystem.mountpoint": point}
    )


def test_single_series_are_read_from_their_places() -> None:
    found = summary(*EVERYTHING)

    assert found == {
        "cpu": 0.25,
        "load1": 1.5,
        "load5": 1.25,
        "load15": 1.0,
        "cores": 2,
        "memory": 0.25,
        "memory_used": 256,
        "memory_limit": 1024,
        "swap": 0.125,
        "disk": None,
        "disk_mount": None,
        "rx": None,
        "tx": None,
        "disk_read": None,
        "disk_write": None,
        "temperature": 60,
        "processes": 200,
        "uptime": 3600,
    }


def test_an_empty_layout_has_an_empty_summary() -> None:
    assert set(summary().values()) == {None}


def test_a_missing_reading_is_none() -> None:
    found = summary(
        (series("system.cpu.utilization"), nan),
        (series("system.temperature", sensor="a"), nan),
        (network("eth0", "receive"), nan),
        (mount("/"), nan),
    )

    assert set(found.values()) == {None}


def test_the_fullest_filesystem_is_named() -> None:
    found = summary((mount("/"), 0.5), (mount("/srv"), 0.75), (mount("/x"), nan))

    assert (found["disk"], found["disk_mount"]) == (0.75, "/srv")


def test_an_empty_filesystem_counts() -> None:
    found = summary((mount("/"), 0.0))

    assert (found["disk"], found["disk_mount"]) == (0, "/")


def test_traffic_is_added_up_over_real_interfaces() -> None:
    found = summary(
        (network("eth0", "receive"), 100),
        (network("wlan0", "receive"), 20),
        (network("eth1", "receive"), nan),
        (network("eth0", "transmit"), 7),
        (network("lo", "receive"), 1000),
        (network("docker0", "receive"), 1000),
        (network("br-1a2b", "receive"), 1000),
        (network("veth9", "receive"), 1000),
    )

    assert (found["rx"], found["tx"]) == (120, 7)


@pytest.mark.parametrize("name", ["lan0", "br0", "lo1x", "loop-eth"])
def test_an_interface_is_not_virtual_by_its_first_letters(name: str) -> None:
    assert summary((network(name, "receive"), 5))["rx"] == 5


def test_throughput_is_added_up_over_real_disks() -> None:
    found = summary(
        (disk("sda", "read"), 10),
        (disk("nvme0n1", "read"), 5),
        (disk("dm-0", "read"), 15),
        (disk("md127", "read"), 15),
        (disk("sda", "write"), 3),
    )

    assert (found["disk_read"], found["disk_write"]) == (15, 3)


def test_cores_are_counted_when_nobody_says_how_many() -> None:
    found = summary(
        (series("system.cpu.utilization", **{"cpu.logical_number": "0"}), 0.5),
        (series("system.cpu.utilization", **{"cpu.logical_number": "1"}), nan),
    )

    assert found["cores"] == 2
    assert found["cpu"] is None


def test_a_plan_is_made_once_for_a_layout() -> None:
    layout = LayoutInfo(1, (series("system.cpu.utilization"),))
    other = LayoutInfo(1, (series("system.uptime"),))

    assert plan(layout) is plan(layout)
    assert plan(other).read(vector(9))["uptime"] == 9
    assert plan(layout).read(vector(0.5))["cpu"] == 0.5
