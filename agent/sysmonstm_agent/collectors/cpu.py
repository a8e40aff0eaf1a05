"""Processor time: overall, by mode, by logical core."""

from __future__ import annotations

from collections.abc import Iterator

from sysmonstm_agent.files import Files
from sysmonstm_agent.metric import NAN, Metric, Reading

UTILIZATION = Metric(
    "system.cpu.utilization",
    "1",
    "Share of processor time not idle: of all cores, of one, or spent in one mode.",
)
COUNT = Metric("system.cpu.logical.count", "{cpu}", "Logical cores online.")

# The first columns of /proc/stat. Two more follow for guests, which the kernel
# has already counted in user and nice.
COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
IDLE = (3, 4)
MODES = {
    "user": (0,),
    "nice": (1,),
    "system": (2,),
    "iowait": (4,),
    "interrupt": (5, 6),
    "steal": (7,),
}

Times = tuple[float, ...]


class Cpu:
    name = "cpu"
    metrics = (UTILIZATION, COUNT)

    def __init__(self, files: Files) -> None:
        self._files = files
        self._before: dict[str, Times] = {}

    def collect(self, now_s: float) -> Iterator[Reading]:
        times = self._linux() if self._files.linux else portable()
        before, self._before = self._before, times
        shares = {core: share(before.get(core), now) for core, now in times.items()}

        overall = shares.pop("")
        yield Reading(COUNT, len(shares))
        yield Reading(UTILIZATION, busy(overall))
        for mode, columns in MODES.items():
            spent = sum(overall[column] for column in columns)
            yield Reading(UTILIZATION, spent, {"cpu.mode": mode})
        for core, parts in shares.items():
            yield Reading(UTILIZATION, busy(parts), {"cpu.logical_number": core})

    def _linux(self) -> dict[str, Times]:
        times = {}
        for line in self._files.proc("stat").splitlines():
            name, _, columns = line.partition(" ")
            if not name.startswith("cpu"):
                break
            counts = [float(column) for column in columns.split()[: len(COLUMNS)]]
            # Kernels before 2.6.11 had fewer columns, and so do some containers.
            counts += [0.0] * (len(COLUMNS) - len(counts))
            times[name.removeprefix("cpu")] = tuple(counts)
        return times


def share(before: Times | None, now: Times) -> Times:
    """Return what part of the time since `before` went to each column."""
    unknown = (NAN,) * len(now)
    if before is None or sum(now) < sum(before):
        return unknown
    # Single columns do fall: idle and iowait are corrected afterwards.
    grown = [max(0.0, b - a) for a, b in zip(before, now, strict=True)]
    total = sum(grown)
    return tuple(part / total for part in grown) if total else unknown


def busy(parts: Times) -> float:
    spent = sum(part for column, part in enumerate(parts) if column not in IDLE)
    # A sum of shares may pass one by a rounding. In this order NaN stays NaN.
    return min(spent, 1.0)


def portable() -> dict[str, Times]:
    import psutil

    cores = psutil.cpu_times(percpu=True)
    times = {
        str(number): tuple(float(getattr(core, name, 0.0)) for name in COLUMNS)
        for number, core in enumerate(cores)
    }
    overall = tuple(map(sum, zip(*times.values(), strict=True)))
    return {"": overall, **times}
