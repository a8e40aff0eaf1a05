"""Swap space."""

from __future__ import annotations

from collections.abc import Iterator

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.files import Files
from sysmonstm_agent.meminfo import meminfo
from sysmonstm_agent.metric import Metric, Reading

USAGE = Metric("system.paging.usage", "By", "Swap space by state.")
UTILIZATION = Metric("system.paging.utilization", "1", "Share of swap space in use.")


class Swap:
    name = "swap"
    metrics = (USAGE, UTILIZATION)

    def __init__(self, files: Files) -> None:
        self._files = files

    def collect(self, now_s: float) -> Iterator[Reading]:
        total, free = self._linux() if self._files.linux else portable()
        if not total:
            raise NoData("no swap")
        used = total - free
        yield Reading(USAGE, used, {"system.paging.state": "used"})
        yield Reading(USAGE, free, {"system.paging.state": "free"})
        yield Reading(UTILIZATION, used / total)

    def _linux(self) -> tuple[float, float]:
        sizes = meminfo(self._files)
        return sizes.get("SwapTotal", 0.0), sizes.get("SwapFree", 0.0)


def portable() -> tuple[float, float]:
    import psutil

    swap = psutil.swap_memory()
    return float(swap.total), float(swap.free)
