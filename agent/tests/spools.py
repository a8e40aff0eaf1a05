"""Disk spools of a known size, for the tests."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sysmonstm_agent.disk_spool import DiskSpool
from sysmonstm_agent.layout import Layout, Sample
from sysmonstm_agent.memory_spool import CAPACITY_BYTES
from sysmonstm_agent.metric import Metric, Series
from sysmonstm_agent.spool_file import FIXED_BYTES, Bounds
from sysmonstm_agent.spool_folder import SpoolFolder
from sysmonstm_agent.spool_record import cost_bytes, pack_layout
from sysmonstm_agent.stream import BATCH_SAMPLES

HEAT = Metric("system.temperature", "Cel", "How hot it is.")
TOP = Layout((Series(HEAT, (("sensor", "top"),)),))
BOTH = Layout((*TOP.series, Series(HEAT, (("sensor", "büro"), ("core", "0")))))


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def disk_spool(
    base: Path,
    *,
    samples: int = 10_000,
    size: int = 4,
    layout: Layout = Layout(()),  # noqa: B008 - frozen
    age_s: int = 86_400,
    memory_capacity_bytes: int = CAPACITY_BYTES,
    clock: Clock | None = None,
) -> DiskSpool:
    """Open a spool with room for so many samples of so many bytes."""
    room = samples * cost_bytes(size) + cost_bytes(len(pack_layout(layout)))
    return DiskSpool(
        SpoolFolder(base / "web-1"),
        Bounds(FIXED_BYTES + room, age_s),
        memory_capacity_bytes=memory_capacity_bytes,
        clock=clock or Clock(),
    )


def sample(number: int, *, layout: Layout = TOP, size: int = 280) -> Sample:
    mark = f"sample {number:06} ".encode()
    return Sample(1_700_000_000_000 + number, layout, mark.ljust(size, b"."))


def fill(spool: DiskSpool, count: int) -> None:
    for number in range(spool.last + 1, spool.last + count + 1):
        spool.append(sample(number))


def held(spool: DiskSpool) -> list[int]:
    found: list[int] = []
    while more := spool.read(found[-1] if found else 0, BATCH_SAMPLES):
        for sequence, one in more:
            assert one.values.startswith(f"sample {sequence:06}".encode())
            found.append(sequence)
    return found


def database(base: Path) -> Path:
    return base / "web-1" / "spool.db"


def sizes(base: Path) -> int:
    return sum(path.stat().st_size for path in (base / "web-1").iterdir())


@contextmanager
def no_space() -> Iterator[None]:
    """No file of this process may grow: writing fails, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def kill(spool: DiskSpool, base: Path) -> Path:
    """Return a folder as it is found after a kill -9 in this moment."""
    after = base.with_name(base.name + "-after")
    shutil.rmtree(after, ignore_errors=True)
    shutil.copytree(base, after, ignore=shutil.ignore_patterns("*-shm"))
    spool.close()
    return after
