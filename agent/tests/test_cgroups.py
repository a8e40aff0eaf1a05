"""Containers as the kernel's control groups tell of them."""

from __future__ import annotations

import math
import os
import shutil
import time
from pathlib import Path

import pytest
from sysmonstm_agent.files import Files

from tests.containing import collect, containers, told
from tests.engine import Engine
from tests.test_values import spell

FIRST = f"{1:064x}"
DOCKER = "8f2c1e5b7a904d3c6e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d"
PODMAN = "1b" * 32


def write(path: Path, **files: str) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("_", ".", 1)).write_text(text)


@pytest.fixture
def version_2(tmp_path: Path) -> Files:
    """Docker under systemd, and Podman of a user, as version 2 has them."""
    root = tmp_path / "sys/fs/cgroup"
    write(root, cgroup_controllers="cpu io memory pids\n")
    docker = root / f"system.slice/docker-{DOCKER}.scope"
    write(
        docker,
        cpu_stat="usage_usec 7500000\nuser_usec 5000000\nsystem_usec 2500000\n",
        memory_current="104857600\n",
        memory_max="268435456\n",
        memory_stat="anon 62914560\nfile 41943040\ninactive_file 37748736\n",
        io_stat="8:0 rbytes=4096000 wbytes=1024000 rios=9 wios=8\n8:16 rbytes=1\n",
        cgroup_procs="42\n4711\n",
    )
    user = root / "user.slice/user-1000.slice/user@1000.service/user.slice"
    podman = user / f"libpod-{PODMAN}.scope"
    write(
        podman,
        cpu_stat="usage_usec 1000\n",
        memory_current="1048576\n",
        memory_max="max\n",
        memory_stat="inactive_file 0\n",
        io_stat="",
        cgroup_procs="",
    )
    write(podman / "container", cgroup_procs="1\n")
    write(user / f"libpod-conmon-{PODMAN}.scope", cpu_stat="usage_usec 1\n")
    write(root / "system.slice/ssh.service", cpu_stat="usage_usec 9\n")
    proc = tmp_path / "proc"
    net = (
        "Inter-| Receive | Transmit\n face |bytes packets\n"
        "    lo:  77 1 0 0 0 0 0 0  77 1 0 0 0 0 0 0\n"
        "  eth0: 500 5 0 0 0 0 0 0 100 4 0 0 0 0 0 0\n"
    )
    for pid in ("1", "42"):
        (proc / pid / "net").mkdir(parents=True)
        (proc / pid / "net/dev").write_text(net)
    return Files(str(proc), str(tmp_path / "sys"), linux=True)


def test_groups_of_version_2_tell_what_containers_use(
    folder: Path, version_2: Files
) -> None:
    collector = containers(folder, version_2)
    collect(collector)
    root = Path(version_2.sys_root) / "fs/cgroup"
    docker = root / f"system.slice/docker-{DOCKER}.scope"
    (docker / "cpu.stat").write_text("usage_usec 10000000\n")
    (docker / "io.stat").write_text("8:0 rbytes=4096000 wbytes=1074000\n")

    readings = collect(collector, 105.0)

    assert told(readings, DOCKER[:12]) == pytest.approx(
        {
            "state{}": 0,
            "cpu.usage{}": 0.5,
            "memory.usage{}": 104857600 - 37748736,
            "memory.utilization{}": (104857600 - 37748736) / 268435456,
            "network.io{,receive}": 0,
            "network.io{,transmit}": 0,
            # Of the second disk nothing is told any more: no rate, and no spike.
            "disk.io{,read}": math.nan,
            "disk.io{,write}": 10_000,
        },
        nan_ok=True,
    )
    # Its only process uses the machine's network, which is told of elsewhere.
    assert told(readings, PODMAN[:12]) == {
        "state{}": 0,
        "cpu.usage{}": 0,
        "memory.usage{}": 1048576,
        "disk.io{,read}": 0,
        "disk.io{,write}": 0,
    }
    assert readings["container.count{running}"] == 2


def test_traffic_is_told_of_when_the_process_that_showed_it_has_ended(
    folder: Path, version_2: Files
) -> None:
    collector = containers(folder, version_2, every_s=60)
    before = told(collect(collector), DOCKER[:12])
    root = Path(version_2.sys_root) / "fs/cgroup"
    procs = root / f"system.slice/docker-{DOCKER}.scope/cgroup.procs"
    procs.write_text("43\n4711\n")
    proc = Path(version_2.proc_root)
    (proc / "42").rename(proc / "43")

    now = {spell(r): r.value for r in collector.collect(105.0)}

    assert before.keys() == told(now, DOCKER[:12]).keys()
    assert now[f"container.network.io{{{DOCKER[:12]},receive}}"] == 0


def test_an_engine_gives_the_names_and_the_kernel_the_numbers(
    folder: Path, engine: Engine, version_2: Files
) -> None:
    row = engine.add("web")
    row["Id"] = DOCKER
    engine.inspect[DOCKER] = engine.inspect[FIRST]

    readings = told(collect(containers(folder, version_2)), "web")

    assert readings["memory.usage{}"] == 104857600 - 37748736
    assert readings["restarts{}"] == 2
    assert not any("stats" in line for line in engine.asked)


def test_a_container_that_ended_since_it_was_listed_is_no_failure(
    folder: Path, version_2: Files
) -> None:
    collector = containers(folder, version_2, every_s=60)
    collect(collector)
    shutil.rmtree(f"{version_2.sys_root}/fs/cgroup/system.slice/docker-{DOCKER}.scope")

    readings = {spell(r): r.value for r in collector.collect(105.0)}

    assert told(readings, DOCKER[:12]) == {"state{}": 0}


CGROUPS = Path("/sys/fs/cgroup")


# Only root may make groups, and only older kernels have this version: elsewhere the
# recorded files must do.
if os.geteuid() == 0 and os.access(CGROUPS / "cpuacct", os.W_OK):

    def test_groups_of_version_1_of_this_kernel(folder: Path) -> None:
        parts = [CGROUPS / part for part in ("cpuacct", "memory", "blkio")]
        groups = [part / f"sysmonstm-test-{os.getpid()}" / DOCKER for part in parts]
        try:
            for group in groups:
                group.mkdir(parents=True)
            began_s = time.monotonic()
            collector = containers(folder, Files())
            first = told(collect(collector), DOCKER[:12])
            (groups[0] / "cgroup.procs").write_text(str(os.getpid()))
            sum(range(1_000_000))  # Some work to be counted.
            elapsed_s = time.monotonic() - began_s
            readings = {spell(r): r.value for r in collector.collect(100.0 + elapsed_s)}
            second = told(readings, DOCKER[:12])
        finally:
            (CGROUPS / "cpuacct" / "cgroup.procs").write_text(str(os.getpid()))
            for group in groups:
                group.rmdir()
                group.parent.rmdir()

        assert first["memory.usage{}"] == 0
        assert "memory.utilization{}" not in first
        assert 0 < second["cpu.usage{}"] < 3
        # It is in no network of its own.
        assert "network.io{,receive}" not in second
