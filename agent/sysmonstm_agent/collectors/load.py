"""Load averages."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sysmonstm_agent.files import Files
from sysmonstm_agent.metric import Metric, Reading

MINUTES = (1, 5, 15)
LOADS = tuple(
    Metric(
        f"system.cpu.load_average.{minutes}m",
        "{thread}",
        "Threads running or waiting to run, or for a disk,"
        f" averaged over {minutes} min.",
    )
    for minutes in MINUTES
)


class Load:
    name = "load"
    metrics = LOADS

    def __init__(self, files: Files) -> None:
        self._files = files

    def collect(self, now_s: float) -> Iterator[Reading]:
        if self._files.linux:
            loads = [float(load) for load in self._files.proc("loadavg").split()[:3]]
        else:
            loads = list(os.getloadavg())
        for metric, load in zip(LOADS, loads, strict=True):
            yield Reading(metric, load)
