"""The few numbers that a machine is judged by at a glance.

A plan is made once for a layout: it knows which places of a vector to read. Reading
is then a few additions; a frame of a thousand machines reads a thousand summaries.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from hub.storage.kept_layouts import CACHED_LAYOUTS
from hub.storage.layout import LayoutInfo, SeriesInfo

# Interfaces whose traffic is counted again where it leaves the machine, or that
# never leaves it. A bond's or a VLAN's parts are the lesser evil: naming differs.
LOOPBACK = "lo"
VIRTUAL_INTERFACES = (
    *("veth", "docker", "br-", "virbr", "vnet", "lxc", "lxdbr"),
    *("cni", "flannel", "cali", "ifb", "dummy"),
)
# Devices whose work is done, and counted, by another.
VIRTUAL_DISKS = ("dm-", "md", "loop", "ram", "zram")


class Summary(TypedDict):
    """Ratios are 0-1, sizes bytes, throughputs bytes a second; None = no reading."""

    cpu: float | None
    load1: float | None
    load5: float | None
    load15: float | None
    cores: float | None
    memory: float | None
    memory_used: float | None
    memory_limit: float | None
    swap: float | None
    # The fullest filesystem, and where it is mounted.
    disk: float | None
    disk_mount: str | None
    # Sums over the interfaces and the disks that are real.
    rx: float | None
    tx: float | None
    disk_read: float | None
    disk_write: float | None
    # The hottest sensor.
    temperature: float | None
    processes: float | None
    uptime: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a layout keeps what a summary shows."""

    vector: struct.Struct
    # The place of the machine's CPU, which is also read alone.
    cpu: int | None
    # Summary key → place, for what is one series.
    single: tuple[tuple[str, int], ...]
    # Summary key → places to add up.
    sums: tuple[tuple[str, tuple[int, ...]], ...]
    temperatures: tuple[int, ...]
    mounts: tuple[tuple[int, str], ...]
    # What stands in for a missing count of cores.
    core_series: int

    def read(self, values: bytes) -> Summary:
        """Return the summary of one vector of this plan's layout."""
        vector = self.vector.unpack(values)
        summary = _EMPTY.copy()
        for key, place in self.single:
            value = vector[place]
            if value == value:
                summary[key] = value  # type: ignore[literal-required]
        for key, places in self.sums:
            summary[key] = _over(sum, vector, places)  # type: ignore[literal-required]
        if self.temperatures:
            summary["temperature"] = _over(max, vector, self.temperatures)
        fullest = -math.inf
        for place, mount in self.mounts:
            # NaN is never greater.
            if vector[place] > fullest:
                fullest = vector[place]
                summary["disk"], summary["disk_mount"] = fullest, mount
        if summary["cores"] is None and self.core_series:
            summary["cores"] = float(self.core_series)
        return summary


_EMPTY = Summary(
    cpu=None,
    load1=None,
    load5=None,
    load15=None,
    cores=None,
    memory=None,
    memory_used=None,
    memory_limit=None,
    swap=None,
    disk=None,
    disk_mount=None,
    rx=None,
    tx=None,
    disk_read=None,
    disk_write=None,
    temperature=None,
    processes=None,
    uptime=None,
)

_CORE = "cpu.logical_number"
# Summary key → the metric, with exactly these attributes.
_SINGLE: dict[str, tuple[str, dict[str, str]]] = {
    "cpu": ("system.cpu.utilization", {}),
    "load1": ("system.cpu.load_average.1m", {}),
    "load5": ("system.cpu.load_average.5m", {}),
    "load15": ("system.cpu.load_average.15m", {}),
    "cores": ("system.cpu.logical.count", {}),
    "memory": ("system.memory.utilization", {}),
    "memory_used": ("system.memory.usage", {"system.memory.state": "used"}),
    "memory_limit": ("system.memory.limit", {}),
    "swap": ("system.paging.utilization", {}),
    "processes": ("system.process.count", {}),
    "uptime": ("system.uptime", {}),
}


# Reads and writes of a dict are atomic; two threads at worst compile a plan twice.
_plans: dict[int, tuple[LayoutInfo, Plan]] = {}


def plan(layout: LayoutInfo) -> Plan:
    """Return the plan of a layout, made once."""
    kept = _plans.get(layout.id)
    if kept is not None and kept[0] is layout:
        return kept[1]
    if len(_plans) >= CACHED_LAYOUTS:
        _plans.clear()
    made = compile_plan(layout.series)
    _plans[layout.id] = layout, made
    return made


def compile_plan(series: Sequence[SeriesInfo]) -> Plan:
    """Find what a summary shows among the series of a layout."""
    places: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for place, info in enumerate(series):
        places.setdefault(info.metric, []).append((place, dict(info.attributes)))

    def where(metric: str, wanted: Callable[[dict[str, str]], bool]) -> tuple[int, ...]:
        return tuple(p for p, a in places.get(metric, ()) if wanted(a))

    single = {
        key: found[0]
        for key, (metric, exactly) in _SINGLE.items()
        if (found := where(metric, exactly.__eq__))
    }
    io, disk = "system.network.io", "system.disk.io"
    sums = {
        "rx": where(io, lambda a: _carries(a, "receive")),
        "tx": where(io, lambda a: _carries(a, "transmit")),
        "disk_read": where(disk, lambda a: _works(a, "read")),
        "disk_write": where(disk, lambda a: _works(a, "write")),
    }
    mounts = {
        place: attributes.get("system.filesystem.mountpoint", "")
        for place, attributes in places.get("system.filesystem.utilization", ())
    }
    per_core = where("system.cpu.utilization", lambda a: set(a) == {_CORE})
    return Plan(
        vector=struct.Struct(f"<{len(series)}f"),
        cpu=single.get("cpu"),
        single=tuple(single.items()),
        sums=tuple((key, found) for key, found in sums.items() if found),
        temperatures=where("system.temperature", lambda a: True),
        mounts=tuple(mounts.items()),
        core_series=len(per_core),
    )


def _carries(attributes: Mapping[str, str], direction: str) -> bool:
    name = attributes.get("network.interface.name", "")
    is_virtual = name == LOOPBACK or name.startswith(VIRTUAL_INTERFACES)
    return attributes.get("network.io.direction") == direction and not is_virtual


def _works(attributes: Mapping[str, str], direction: str) -> bool:
    name = attributes.get("system.device", "")
    return attributes.get("disk.io.direction") == direction and not (
        name.startswith(VIRTUAL_DISKS)
    )


def _over(
    fold: Callable[[Iterable[float]], float],
    vector: Sequence[float],
    places: Iterable[int],
) -> float | None:
    found = [value for place in places if (value := vector[place]) == value]
    return fold(found) if found else None
