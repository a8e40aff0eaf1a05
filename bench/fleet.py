"""Machines that could be somebody's: names, hardware, and how their numbers move.

Nothing here is measured. It fills a database so that pages and benches have
something believable to work on; the same seed gives the same fleet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hub.storage.layouts import SeriesInfo

Floats = NDArray[np.float32]
Column = NDArray[np.float64] | float
Columns = Iterator[tuple[SeriesInfo, Column]]
GIB = 2**30

NAMES = ("web", "db", "cache", "build", "mail", "queue", "edge", "store")
ALONE = ("atlas", "nas", "router", "workstation", "media", "backup", "pi-garden")


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a kind of machine has."""

    os: str
    kernel: str
    architecture: str
    cores: int
    memory: float
    swap: float
    mounts: tuple[tuple[str, float], ...]
    disks: tuple[str, ...]
    interfaces: tuple[str, ...]
    sensors: tuple[tuple[str, float], ...]


KINDS = (
    Hardware(
        "Debian GNU/Linux 12 (bookworm)",
        "6.1.0-28-amd64",
        "x86_64",
        4,
        8 * GIB,
        2 * GIB,
        (("/", 40 * GIB), ("/boot/efi", 0.5 * GIB)),
        ("vda",),
        ("eth0",),
        (),
    ),
    Hardware(
        "Ubuntu 24.04.3 LTS",
        "6.8.0-87-generic",
        "x86_64",
        16,
        64 * GIB,
        8 * GIB,
        (("/", 460 * GIB), ("/srv", 3700 * GIB), ("/boot", 2 * GIB)),
        ("nvme0n1", "nvme1n1", "sda"),
        ("enp5s0", "wg0", "docker0"),
        (("k10temp Tctl", 52), ("nvme Composite", 41), ("nvme Composite 2", 39)),
    ),
    Hardware(
        "Raspberry Pi OS 12 (bookworm)",
        "6.12.47+rpt-rpi-v8",
        "aarch64",
        4,
        4 * GIB,
        0,
        (("/", 29 * GIB), ("/boot/firmware", 0.5 * GIB)),
        ("mmcblk0",),
        ("eth0", "wlan0"),
        (("cpu_thermal temp1", 47),),
    ),
    Hardware(
        "Fedora Linux 43 (Workstation)",
        "6.17.8-300.fc43.x86_64",
        "x86_64",
        8,
        32 * GIB,
        8 * GIB,
        (("/", 930 * GIB), ("/home", 930 * GIB)),
        ("nvme0n1",),
        ("wlp2s0", "enp0s31f6"),
        (("coretemp Package id 0", 55), ("acpitz temp1", 44)),
    ),
)


@dataclass(frozen=True, slots=True)
class Member:
    """One machine of a fleet."""

    machine_id: str
    kind: int
    seed: int
    # How busy and how full it is, 0-1.
    busy: float
    full: float


def fleet(count: int) -> list[Member]:
    """Return machines; some are busy and a few are nearly full."""
    chance = np.random.default_rng(7)
    members = []
    for number in range(count):
        name = (
            ALONE[number]
            if number < len(ALONE)
            else f"{NAMES[number % len(NAMES)]}-{number // len(NAMES) + 1}"
        )
        members.append(
            Member(
                machine_id=name,
                kind=1
                if name in ("atlas", "nas", "media")
                else int(chance.integers(4)),
                seed=number,
                busy=float(chance.beta(1.3, 5)),
                full=float(0.15 + 0.65 * chance.random()),
            )
        )
    return members


class Life:
    """A machine's numbers at any moments, reproducible."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.hardware = KINDS[member.kind]

    @cached_property
    def series(self) -> tuple[SeriesInfo, ...]:
        return tuple(info for info, _ in self._columns(np.zeros(1)))

    def values(self, times_s: NDArray[np.float64]) -> Floats:
        """Return one row of values for each moment."""
        columns = [column for _, column in self._columns(times_s)]
        shape = (len(times_s), len(columns))
        out = np.empty(shape, "<f4")
        for place, column in enumerate(columns):
            out[:, place] = column
        return out

    def _columns(self, times: NDArray[np.float64]) -> list[tuple[SeriesInfo, Column]]:
        chance = np.random.default_rng((self.member.seed, int(times[0])))
        waves = Waves(times, self.member.seed, chance)
        return [
            *self._processor(waves),
            *self._memory(waves),
            *self._room(waves),
            *self._traffic(waves),
            *self._rest(waves),
        ]

    def _processor(self, waves: Waves) -> Columns:
        cores = self.hardware.cores
        busy = np.clip(
            self.member.busy * waves.swing(1.0) + waves.bursts(0.5), 0.004, 1
        )
        yield series("system.cpu.logical.count", "{cpu}"), float(cores)
        yield series("system.cpu.utilization", "1"), busy
        shares = {"user": 0.62, "nice": 0.01, "system": 0.22, "iowait": 0.09}
        shares |= {"interrupt": 0.05, "steal": 0.01}
        for mode, share in shares.items():
            column = busy * share * waves.noise(0.06)
            yield series("system.cpu.utilization", "1", **{"cpu.mode": mode}), column
        for core in range(cores):
            column = np.clip(busy * waves.swing(0.6) * waves.noise(0.15), 0, 1)
            told = {"cpu.logical_number": str(core)}
            yield series("system.cpu.utilization", "1", **told), column
        for minutes, calm in ((1, 0.06), (5, 0.02), (15, 0.005)):
            name = f"system.cpu.load_average.{minutes}m"
            load = busy * cores * 1.1 * waves.noise(calm)
            yield series(name, "{thread}"), smooth(load, minutes * 12)

    def _memory(self, waves: Waves) -> Columns:
        total = self.hardware.memory
        used = total * np.clip(self.member.full * waves.swing(0.12), 0.05, 0.99)
        cached = (total - used) * 0.6 * waves.swing(0.1)
        buffers = (total - used) * 0.05
        free = np.maximum(total - used - cached - buffers, 0)
        yield series("system.memory.limit", "By"), total
        for state, column in (
            ("used", used),
            ("free", free),
            ("cached", cached),
            ("buffers", buffers),
            ("available", total - used),
        ):
            told = {"system.memory.state": state}
            yield series("system.memory.usage", "By", **told), column
        yield series("system.memory.utilization", "1"), used / total
        if swap := self.hardware.swap:
            share = np.clip(self.member.full * 0.3 * waves.swing(0.2), 0, 1)
            for state, column in (("used", share * swap), ("free", swap * (1 - share))):
                told = {"system.paging.state": state}
                yield series("system.paging.usage", "By", **told), column
            yield series("system.paging.utilization", "1"), share

    def _room(self, waves: Waves) -> Columns:
        for number, (mount, size) in enumerate(self.hardware.mounts):
            share = np.clip(
                self.member.full * (1.22, 0.7, 0.2)[number % 3] + waves.growth(0.01),
                0.01,
                0.995,
            )
            place = {"system.filesystem.mountpoint": mount}
            told = place | {
                "system.device": f"/dev/{self.hardware.disks[0]}p{number + 1}",
                "system.filesystem.type": "vfat" if "efi" in mount else "ext4",
            }
            for state, column in (("used", share * size), ("free", (1 - share) * size)):
                usage = told | {"system.filesystem.state": state}
                yield series("system.filesystem.usage", "By", **usage), column
            yield series("system.filesystem.utilization", "1", **told), share
            name = "system.filesystem.inode.utilization"
            yield series(name, "1", **place), share * 0.3
            name = "sysmonstm.agent.filesystem.unresponsive"
            yield series(name, "1", **place), 0.0

    def _traffic(self, waves: Waves) -> Columns:
        for number, device in enumerate(self.hardware.disks):
            scale = (4e6, 9e5, 2e5)[number % 3] * (0.2 + self.member.busy * 4)
            for way, part in (("read", 0.4), ("write", 1.0)):
                told = {"system.device": device, "disk.io.direction": way}
                column = scale * part * waves.spikes()
                yield series("system.disk.io", "By/s", **told), column
                yield (
                    series("system.disk.operations", "{operation}/s", **told),
                    (column / 32_000),
                )
            busy = np.clip(scale / 5e7 * waves.spikes(), 0, 1)
            told = {"system.device": device}
            yield series("system.disk.utilization", "1", **told), busy
        for number, interface in enumerate(self.hardware.interfaces):
            scale = (3e6, 2e5, 4e4)[number % 3] * (0.1 + self.member.busy * 5)
            for way, part in (("receive", 1.0), ("transmit", 0.35)):
                told = {
                    "network.interface.name": interface,
                    "network.io.direction": way,
                }
                column = scale * part * waves.spikes()
                yield series("system.network.io", "By/s", **told), column
                yield (
                    series("system.network.packets", "{packet}/s", **told),
                    (column / 900),
                )
                yield series("system.network.errors", "{error}/s", **told), 0.0
                yield series("system.network.dropped", "{packet}/s", **told), 0.0

    def _rest(self, waves: Waves) -> Columns:
        for sensor, warm in self.hardware.sensors:
            column = warm + self.member.busy * 18 * waves.swing(0.5) + waves.bursts(6)
            yield series("system.temperature", "Cel", sensor=sensor), column
        for resource, part in (("cpu", 0.06), ("memory", 0.004), ("io", 0.03)):
            column = np.clip(self.member.busy * part * waves.spikes(), 0, 1)
            yield series("system.pressure.some", "1", resource=resource), column
            if resource != "cpu":
                name = "system.pressure.full"
                yield series(name, "1", resource=resource), column * 0.4
        processes = 140 + 40 * self.hardware.cores * self.member.busy
        yield (
            series("system.process.count", "{process}"),
            np.round(processes * waves.noise(0.02)),
        )
        for transport, some in (("tcp", 80), ("udp", 14)):
            name = "system.network.connection.count"
            told = {"network.transport": transport}
            yield (
                series(name, "{connection}", **told),
                np.round(some * (1 + 4 * self.member.busy) * waves.noise(0.05)),
            )
        yield (
            series("system.uptime", "s"),
            waves.times - 1.79e9 + self.member.seed * 7e4,
        )


class Waves:
    """Ways in which a number moves over some moments; all are about 1."""

    def __init__(
        self, times: NDArray[np.float64], seed: int, chance: np.random.Generator
    ) -> None:
        self.times = times
        self._seed = seed
        self._chance = chance

    def noise(self, size: float) -> NDArray[np.float64]:
        return np.exp(self._chance.normal(0, size, len(self.times)))

    def swing(self, size: float) -> NDArray[np.float64]:
        slow = np.sin(self.times / 1700 + self._seed)
        slow += np.sin(self.times / 410 + self._seed * 2.1)
        return np.exp(size * 0.35 * slow) * self.noise(size * 0.08)

    def bursts(self, size: float) -> NDArray[np.float64]:
        """Now and then something runs for a minute or two."""
        turn = np.floor(self.times / 97 + self._seed * 0.37)
        runs = np.sin(turn * 12.9898 + self._seed) * 43758.5453 % 1 > 0.93
        burst: NDArray[np.float64] = (
            size * runs * (0.6 + 0.4 * self._chance.random(len(self.times)))
        )
        return burst

    def spikes(self) -> NDArray[np.float64]:
        return self._chance.pareto(2.2, len(self.times)) * 0.5 + 0.15 * self.swing(1.0)

    def growth(self, size: float) -> NDArray[np.float64]:
        since: NDArray[np.float64] = self.times - self.times[0]
        return size * since / 3600


def smooth(column: NDArray[np.float64], ticks: int) -> NDArray[np.float64]:
    """Return the running mean of the last ticks, as the kernel's loads lag."""
    sums = np.cumsum(np.concatenate([np.full(ticks, column[0]), column]))
    mean: NDArray[np.float64] = (sums[ticks:] - sums[:-ticks]) / ticks
    return mean


def series(metric: str, unit: str, **attributes: str) -> SeriesInfo:
    told = tuple(sorted(attributes.items()))
    return SeriesInfo(metric, unit, "gauge", "", told)
