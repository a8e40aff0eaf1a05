"""Physical memory."""

from __future__ import annotations

from collections.abc import Iterator

from sysmonstm_agent.files import Files
from sysmonstm_agent.meminfo import meminfo
from sysmonstm_agent.metric import Metric, Reading

LIMIT = Metric("system.memory.limit", "By", "Physical memory installed.")
USAGE = Metric(
    "system.memory.usage",
    "By",
    "Memory by state: used is what new processes cannot get, available what they"
    " can; free, cached and buffers are parts of the latter.",
)
UTILIZATION = Metric(
    "system.memory.utilization", "1", "Share of memory that new processes cannot get."
)


class Memory:
    name = "memory"
    metrics = (LIMIT, USAGE, UTILIZATION)

    def __init__(self, files: Files) -> None:
        self._files = files

    def collect(self, now_s: float) -> Iterator[Reading]:
        total, states = self._linux() if self._files.linux else portable()
        # Not psutil's or the kernel's idea of used, which may count cache that
        # can be had back: total - available does not.
        used = total - states["available"]
        yield Reading(LIMIT, total)
        for state, size in {"used": used, **states}.items():
            yield Reading(USAGE, size, {"system.memory.state": state})
        yield Reading(UTILIZATION, used / total)

    def _linux(self) -> tuple[float, dict[str, float]]:
        sizes = meminfo(self._files)
        free, buffers = sizes["MemFree"], sizes["Buffers"]
        # As free(1) counts: the slab's reclaimable part is cache as well.
        cached = sizes["Cached"] + sizes.get("SReclaimable", 0.0)
        # Absent before Linux 3.14.
        available = sizes.get("MemAvailable", free + cached + buffers)
        return sizes["MemTotal"], {
            "free": free,
            "cached": cached,
            "buffers": buffers,
            "available": available,
        }


def portable() -> tuple[float, dict[str, float]]:
    import psutil

    memory = psutil.virtual_memory()
    states = {
        state: float(getattr(memory, state))
        for state in ("free", "cached", "buffers", "available")
        if hasattr(memory, state)
    }
    return float(memory.total), states
