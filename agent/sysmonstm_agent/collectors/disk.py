"""Disks: what is read and written, and how busy they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.files import Files
from sysmonstm_agent.metric import NAN, Metric, Reading
from sysmonstm_agent.rates import Rates

IO = Metric("system.disk.io", "By/s", "Bytes read from or written to a disk.")
OPERATIONS = Metric(
    "system.disk.operations", "{operation}/s", "Reads or writes that a disk completed."
)
UTILIZATION = Metric(
    "system.disk.utilization", "1", "Share of time in which a disk had work to do."
)

# The kernel counts sectors of this size whatever the disk's own are.
SECTOR_BYTES = 512
# Files and memory posing as disks, and layers over disks: what goes through
# dm- and md is counted again below them.
VIRTUAL = re.compile(r"(loop|ram|zram|fd|sr|dm-|md)\d")
PARTITION = re.compile(r"((sd|hd|vd|xvd)[a-z]+|(nvme\d+n|mmcblk|nbd)\d+p)\d+$")


class Counts(NamedTuple):
    reads: float
    read_bytes: float
    writes: float
    written_bytes: float
    busy_s: float


class Disk:
    name = "disk"
    metrics = (IO, OPERATIONS, UTILIZATION)

    def __init__(
        self, files: Files, *, skip: Callable[[str], bool] = lambda device: False
    ) -> None:
        self._files = files
        self._skip = skip
        self._rates = Rates()
        self._names: frozenset[str] = frozenset()
        self._partitions: frozenset[str] = frozenset()

    def collect(self, now_s: float) -> Iterator[Reading]:
        disks = self._linux() if self._files.linux else portable()
        if not disks:
            raise NoData("no disks")
        self._rates.tick(now_s)
        for device, counts in disks.items():
            if not self._skip(device):
                yield from self._readings(device, counts)

    def _readings(self, device: str, counts: Counts) -> Iterator[Reading]:
        read = {"system.device": device, "disk.io.direction": "read"}
        write = {"system.device": device, "disk.io.direction": "write"}
        rate = self._rates.rate
        yield Reading(IO, rate((device, "rb"), counts.read_bytes), read)
        yield Reading(IO, rate((device, "wb"), counts.written_bytes), write)
        yield Reading(OPERATIONS, rate((device, "r"), counts.reads), read)
        yield Reading(OPERATIONS, rate((device, "w"), counts.writes), write)
        if counts.busy_s == counts.busy_s:
            # Counted in ticks of the kernel, so it may run a little over.
            busy = rate((device, "busy"), counts.busy_s)
            yield Reading(
                UTILIZATION, 1.0 if busy > 1 else busy, {"system.device": device}
            )

    def _linux(self) -> dict[str, Counts]:
        rows = {
            columns[2]: columns
            for columns in map(str.split, self._files.proc("diskstats").splitlines())
        }
        if rows.keys() != self._names:
            self._names = frozenset(rows)
            self._partitions = self._find_partitions()
        return {
            name: Counts(
                reads=float(columns[3]),
                read_bytes=float(columns[5]) * SECTOR_BYTES,
                writes=float(columns[7]),
                written_bytes=float(columns[9]) * SECTOR_BYTES,
                busy_s=float(columns[12]) / 1000,
            )
            for name, columns in rows.items()
            if name not in self._partitions
            and not VIRTUAL.match(name)
            # A disk that never did anything is an unused nbd or the like.
            and (columns[3] != "0" or columns[7] != "0")
        }

    def _find_partitions(self) -> frozenset[str]:
        # "cciss/c0d0" is "cciss!c0d0" there. In a container /sys may be absent.
        whole = {name.replace("!", "/") for name in self._files.sys_names("block")}
        if whole:
            return frozenset(self._names - whole)
        return frozenset(name for name in self._names if PARTITION.match(name))


def portable() -> dict[str, Counts]:
    import psutil

    # None where the system tells nothing.
    disks = psutil.disk_io_counters(perdisk=True) or {}
    return {
        name: Counts(
            reads=float(disk.read_count),
            read_bytes=float(disk.read_bytes),
            writes=float(disk.write_count),
            written_bytes=float(disk.write_bytes),
            busy_s=getattr(disk, "busy_time", NAN) / 1000,
        )
        for name, disk in disks.items()
    }
