"""How long the machine has been up."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sysmonstm_agent.files import Files
from sysmonstm_agent.metric import Metric, Reading

UPTIME = Metric("system.uptime", "s", "Time since the machine was started.")


class Uptime:
    name = "uptime"
    metrics = (UPTIME,)

    def __init__(self, files: Files) -> None:
        self._files = files

    def collect(self, now_s: float) -> Iterator[Reading]:
        if self._files.linux:
            yield Reading(UPTIME, float(self._files.proc("uptime").split()[0]))
        else:
            yield Reading(UPTIME, portable())


def portable() -> float:
    import psutil

    return time.time() - psutil.boot_time()
