"""Containers as the kernel knows them: control groups, version 1 or 2.

Anybody may read them, so this needs neither an engine's socket nor a right. Of a
container they know the id, not the name.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.containers.counts import Counts
from sysmonstm_agent.files import Files, read
from sysmonstm_agent.metric import NAN

ROOT = "fs/cgroup"
# docker-<id>.scope under systemd, docker/<id> without; as do Podman, containerd
# and CRI-O. What is called conmon is the engine's own.
ID = re.compile(
    r"(?:(?:docker|libpod|crio|nerdctl|cri-containerd)-)?([0-9a-f]{64})(?:\.scope)?"
)
LXC = re.compile(r"lxc\.payload\.(.+)")
# The user's slices of a rootless engine, and pods, lie about this deep.
MAX_DEPTH = 8
# What a machine has too many groups for is not worth the time it takes.
MAX_FOLDERS = 5_000
MAX_GROUPS = 1_000
# How version 1 says that there is no limit: the largest number of whole pages.
NO_LIMIT = 2**60
# Where each controller is, by the names that systems give it.
CPU_ROOTS = ("cpuacct", "cpu,cpuacct", "cpuacct,cpu")


@dataclass(frozen=True, slots=True)
class Group:
    """Where the kernel counts for one container. `path` is below the roots."""

    id: str
    path: str
    # The folders of the controllers; the same one three times in version 2.
    cpu: str
    memory: str
    io: str
    # Of a process in it, whose network is the container's; 0 = none is seen.
    pid: int

    @property
    def unified(self) -> bool:
        return self.cpu == self.memory


def groups(files: Files) -> list[Group]:
    """Find the containers' groups. Raises NoData where there are no groups at all."""
    root = f"{files.sys_root}/{ROOT}"
    if os.path.exists(f"{root}/cgroup.controllers"):
        cpu = memory = io = root
    else:
        roots = [f"{root}/{name}" for name in CPU_ROOTS]
        found = [path for path in roots if os.path.isdir(path)]
        if not found:
            raise NoData("no control groups")
        cpu, memory, io = found[0], f"{root}/memory", f"{root}/blkio"
    return [
        Group(id_, path, cpu, memory, io, process(f"{cpu}/{path}"))
        for id_, path in walk(cpu)
    ]


def walk(root: str) -> Iterator[tuple[str, str]]:
    """Yield the id and path of each container's group, wide before deep."""
    folders, looked, found = [""], 0, 0
    for _ in range(MAX_DEPTH):
        below: list[str] = []
        for folder in folders:
            looked += 1
            if looked > MAX_FOLDERS:
                return
            for name in subfolders(f"{root}/{folder}"):
                path = f"{folder}/{name}" if folder else name
                if id_ := container_id(folder, name):
                    yield id_, path
                    found += 1
                    if found == MAX_GROUPS:
                        return
                else:
                    below.append(path)
        folders = below


def container_id(folder: str, name: str) -> str:
    """Return the id of a container whose group this is, or nothing."""
    if match := ID.fullmatch(name) or LXC.fullmatch(name):
        return match[1]
    return name if folder == "lxc" else ""


def subfolders(path: str) -> list[str]:
    # A group may be gone by the time it is looked at.
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []


def process(path: str) -> int:
    """Return a process of a group, or of one just below it; 0 = there is none."""
    for place in ("", *(f"/{name}" for name in subfolders(path))):
        with contextlib.suppress(NoData, OSError):
            if first := read(f"{path}{place}/cgroup.procs").split("\n", 1)[0]:
                return int(first)
    return 0


def counts(files: Files, group: Group, now_s: float) -> Counts:
    """Read what a group has used. Raises NoData when it is gone."""
    spent_s = cpu_s(group)
    memory, limit, io = unified(group) if group.unified else divided(group)
    received, sent = network(files, group)
    return Counts(now_s, spent_s, memory, limit, received, sent, *io)


Measured = tuple[float, float, tuple[float, float]]


def cpu_s(group: Group) -> float:
    """Return the processor time it has had. Raises NoData when it is gone."""
    path = f"{group.cpu}/{group.path}"
    if group.unified:
        return pairs(read(f"{path}/cpu.stat"))["usage_usec"] / 1e6
    return float(read(f"{path}/cpuacct.usage")) / 1e9


def unified(group: Group) -> Measured:
    path = f"{group.cpu}/{group.path}"
    memory, limit, io = NAN, NAN, (NAN, NAN)
    # A controller may be off for a group.
    with contextlib.suppress(NoData):
        # As `docker stats` counts: without file pages that can be had back.
        cache = pairs(read(f"{path}/memory.stat")).get("inactive_file", 0.0)
        memory = max(0.0, float(read(f"{path}/memory.current")) - cache)
        limit = bound(read(f"{path}/memory.max"))
    with contextlib.suppress(NoData):
        io = io_stat(read(f"{path}/io.stat"))
    return memory, limit, io


def divided(group: Group) -> Measured:
    memory, limit, io = NAN, NAN, (NAN, NAN)
    with contextlib.suppress(NoData):
        path = f"{group.memory}/{group.path}"
        cache = pairs(read(f"{path}/memory.stat")).get("total_inactive_file", 0.0)
        memory = max(0.0, float(read(f"{path}/memory.usage_in_bytes")) - cache)
        limit = bound(read(f"{path}/memory.limit_in_bytes"))
    with contextlib.suppress(NoData):
        path = f"{group.io}/{group.path}"
        io = service_bytes(read(f"{path}/blkio.throttle.io_service_bytes_recursive"))
    return memory, limit, io


def pairs(text: str) -> dict[str, float]:
    return {
        key: float(value)
        for key, _, value in (line.partition(" ") for line in text.splitlines())
    }


def bound(text: str) -> float:
    text = text.strip()
    size = NAN if text == "max" else float(text)
    return size if size < NO_LIMIT else NAN


def io_stat(text: str) -> tuple[float, float]:
    """Sum "8:0 rbytes=1459200 wbytes=314773504 rios=192 …" over the devices."""
    fields = [field.partition("=") for field in text.split()]
    read_bytes, written_bytes = (
        sum(float(value) for key, _, value in fields if key == wanted)
        for wanted in ("rbytes", "wbytes")
    )
    return read_bytes, written_bytes


def service_bytes(text: str) -> tuple[float, float]:
    """Sum "8:0 Read 1459200" and "8:0 Write 314773504" over the devices."""
    lines = [line.split() for line in text.splitlines()]
    read_bytes, written_bytes = (
        sum(float(line[2]) for line in lines if len(line) == 3 and line[1] == wanted)
        for wanted in ("Read", "Write")
    )
    return read_bytes, written_bytes


def network(files: Files, group: Group) -> tuple[float, float]:
    """Return what a container's network received and sent; NaN = it is not seen."""
    if group.pid:
        with contextlib.suppress(NoData, OSError):
            return traffic(files, group.pid)
        # It has ended; the container may have others, that come and go.
        if pid := process(f"{group.cpu}/{group.path}"):
            with contextlib.suppress(NoData, OSError):
                return traffic(files, pid)
    return NAN, NAN


def traffic(files: Files, pid: int) -> tuple[float, float]:
    """Return what a process's network received and sent, loopback left out.

    NaN where that is the machine's own network. Raises NoData when it is gone.
    """
    if same_file(f"{files.proc_root}/{pid}/net/dev", f"{files.proc_root}/1/net/dev"):
        return NAN, NAN
    lines = read(f"{files.proc_root}/{pid}/net/dev").splitlines()[2:]
    received = sent = 0.0
    for name, _, columns in (line.strip().rpartition(":") for line in lines):
        if name != "lo":
            fields = columns.split()
            received += float(fields[0])
            sent += float(fields[8])
    return received, sent


def same_file(one: str, other: str) -> bool:
    # The kernel numbers these files anew for each network that it keeps.
    mine, theirs = os.stat(one), os.stat(other)
    return (mine.st_dev, mine.st_ino) == (theirs.st_dev, theirs.st_ino)
