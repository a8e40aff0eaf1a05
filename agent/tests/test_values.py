"""Exact values: what two states of a machine, 5 s apart, become."""

from __future__ import annotations

import math

import pytest
from sysmonstm_agent.collector import Collector
from sysmonstm_agent.collectors.connections import Connections
from sysmonstm_agent.collectors.cpu import Cpu, busy, share
from sysmonstm_agent.collectors.disk import Disk
from sysmonstm_agent.collectors.load import Load
from sysmonstm_agent.collectors.memory import Memory
from sysmonstm_agent.collectors.network import Network
from sysmonstm_agent.collectors.pressure import Pressure
from sysmonstm_agent.collectors.processes import Processes
from sysmonstm_agent.collectors.swap import Swap
from sysmonstm_agent.collectors.temperature import Temperature
from sysmonstm_agent.collectors.uptime import Uptime
from sysmonstm_agent.metric import Reading

from tests.conftest import Moving, machine

KIB = 1024


def spell(reading: Reading) -> str:
    """Write a series as people do: `name{value,value}`."""
    metric, _, attributes = reading
    values = ",".join(attributes.values())
    return f"{metric.name}{{{values}}}" if values else metric.name


def now(collector: Collector) -> dict[str, float]:
    return {spell(reading): reading.value for reading in collector.collect(100.0)}


def five_seconds_later(collector: Collector, files: Moving) -> dict[str, float]:
    list(collector.collect(100.0))
    files.let_time_pass()
    return {spell(reading): reading.value for reading in collector.collect(105.0)}


def test_cpu(web: Moving) -> None:
    assert five_seconds_later(Cpu(web), web) == pytest.approx(
        {
            "system.cpu.logical.count": 2,
            "system.cpu.utilization": 0.45,
            "system.cpu.utilization{user}": 0.2,
            "system.cpu.utilization{nice}": 0.01,
            "system.cpu.utilization{system}": 0.1,
            "system.cpu.utilization{iowait}": 0.05,
            "system.cpu.utilization{interrupt}": 0.02,
            "system.cpu.utilization{steal}": 0.12,
            "system.cpu.utilization{0}": 180 / 430,
            "system.cpu.utilization{1}": 270 / 570,
        }
    )


def test_cpu_counters_that_fell_as_a_whole_give_no_share() -> None:
    before = (1000.0, 0.0, 0.0, 9000.0, 0.0, 0.0, 0.0, 0.0)
    after = (5.0, 0.0, 0.0, 90.0, 0.0, 0.0, 0.0, 7.0)

    assert all(math.isnan(part) for part in share(before, after))


def test_a_single_cpu_counter_that_was_corrected_counts_as_still() -> None:
    before = (100.0, 0.0, 0.0, 800.0, 50.0, 0.0, 0.0, 0.0)
    after = (150.0, 0.0, 0.0, 850.0, 48.0, 0.0, 0.0, 0.0)

    assert share(before, after) == (0.5, 0, 0, 0.5, 0, 0, 0, 0)


def test_a_machine_without_rest_is_busy_and_not_more() -> None:
    never, now = (0.0,) * 8, (1.0, 0.0, 13.0, 0.0, 0.0, 3.0, 1.0, 2.0)

    assert sum(share(never, now)) > 1
    assert busy(share(never, now)) == 1
    assert math.isnan(busy(share(None, now)))


def test_disk(web: Moving) -> None:
    assert five_seconds_later(Disk(web), web) == {
        "system.disk.io{sda,read}": 400 * 512 / 5,
        "system.disk.io{sda,write}": 20_000 * 512 / 5,
        "system.disk.operations{sda,read}": 2,
        "system.disk.operations{sda,write}": 20,
        "system.disk.utilization{sda}": 0.5,
        "system.disk.io{nvme0n1,read}": 0,
        "system.disk.io{nvme0n1,write}": 0,
        "system.disk.operations{nvme0n1,read}": 0,
        "system.disk.operations{nvme0n1,write}": 0,
        "system.disk.utilization{nvme0n1}": 0,
    }


def test_disk_without_sys_knows_partitions_by_their_names() -> None:
    devices = {r.attributes["system.device"] for r in Disk(machine("old")).collect(0)}

    assert devices == {"vda", "nvme1n1"}


def test_network(web: Moving) -> None:
    assert five_seconds_later(Network(web), web) == {
        "system.network.io{eth0,receive}": 100_000,
        "system.network.packets{eth0,receive}": 100,
        "system.network.errors{eth0,receive}": 1,
        "system.network.dropped{eth0,receive}": 0,
        "system.network.io{eth0,transmit}": 20_000,
        "system.network.packets{eth0,transmit}": 20,
        "system.network.errors{eth0,transmit}": 0,
        "system.network.dropped{eth0,transmit}": 1,
    }


def test_memory(web: Moving) -> None:
    assert now(Memory(web)) == {
        "system.memory.limit": 8_000_000 * KIB,
        "system.memory.usage{used}": 3_000_000 * KIB,
        "system.memory.usage{free}": 1_000_000 * KIB,
        "system.memory.usage{cached}": 3_400_000 * KIB,
        "system.memory.usage{buffers}": 200_000 * KIB,
        "system.memory.usage{available}": 5_000_000 * KIB,
        "system.memory.utilization": 0.375,
    }


def test_memory_of_a_kernel_that_does_not_say_what_is_available() -> None:
    readings = now(Memory(machine("old")))

    assert readings["system.memory.usage{available}"] == 600_000 * KIB
    assert readings["system.memory.utilization"] == 0.4


def test_swap(web: Moving) -> None:
    assert now(Swap(web)) == {
        "system.paging.usage{used}": 500_000 * KIB,
        "system.paging.usage{free}": 1_500_000 * KIB,
        "system.paging.utilization": 0.25,
    }


def test_load(web: Moving) -> None:
    assert now(Load(web)) == {
        "system.cpu.load_average.1m": 0.52,
        "system.cpu.load_average.5m": 1.25,
        "system.cpu.load_average.15m": 2.0,
    }


def test_pressure(web: Moving) -> None:
    assert now(Pressure(web)) == {
        "system.pressure.some{cpu}": 0.125,
        "system.pressure.full{cpu}": 0,
        "system.pressure.some{memory}": 0.0025,
        "system.pressure.full{memory}": 0.001,
        "system.pressure.some{io}": 0.04,
        "system.pressure.full{io}": 0.03,
    }


def test_connections(web: Moving) -> None:
    assert now(Connections(web)) == {
        "system.network.connection.count{tcp}": 17,
        "system.network.connection.count{udp}": 7,
    }


def test_connections_without_ipv6() -> None:
    assert now(Connections(machine("old"))) == {
        "system.network.connection.count{tcp}": 2,
        "system.network.connection.count{udp}": 0,
    }


def test_uptime(web: Moving) -> None:
    assert now(Uptime(web)) == {"system.uptime": 86_400.5}


def test_processes(web: Moving) -> None:
    assert now(Processes(web)) == {"system.process.count": 3}


def test_processes_of_this_machine_are_those_one_can_list() -> None:
    import psutil
    from sysmonstm_agent.files import Files

    (reading,) = Processes(Files()).collect(0)

    # Others come and go meanwhile.
    assert reading.value == pytest.approx(len(psutil.pids()), abs=20)


def test_temperature(web: Moving) -> None:
    readings = now(Temperature(web))

    assert math.isnan(readings.pop("system.temperature{drivetemp temp1}"))
    assert readings == {
        "system.temperature{coretemp Package id 0}": 45.5,
        "system.temperature{nvme Composite}": 38.85,
        "system.temperature{nvme Composite 2}": 41.0,
    }


def test_thermal_zones_serve_where_there_is_no_hwmon() -> None:
    readings = now(Temperature(machine("old")))

    assert readings == {"system.temperature{cpu-thermal}": 51.234}
