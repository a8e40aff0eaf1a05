"""Pressure stall information: time lost waiting for what is short."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.files import Files
from sysmonstm_agent.metric import Metric, Reading

SOME = Metric(
    "system.pressure.some",
    "1",
    "Share of the last 10 s in which at least one task waited for the resource.",
)
FULL = Metric(
    "system.pressure.full",
    "1",
    "Share of the last 10 s in which no task could work for want of the resource.",
)
METRICS = {"some": SOME, "full": FULL}


class Pressure:
    name = "pressure"
    metrics = (SOME, FULL)

    def __init__(self, files: Files) -> None:
        self._files = files

    def collect(self, now_s: float) -> Iterator[Reading]:
        if not self._files.linux:
            raise NoData("Linux only")
        for resource in ("cpu", "memory", "io"):
            for line in self._read(resource).splitlines():
                kind, average, *_ = line.split()
                share = float(average.removeprefix("avg10=")) / 100
                yield Reading(METRICS[kind], share, {"resource": resource})

    def _read(self, resource: str) -> str:
        try:
            return self._files.proc(f"pressure/{resource}")
        except OSError as error:
            # The files are there but switched off (psi=0).
            if error.errno == errno.EOPNOTSUPP:
                raise NoData("PSI is off") from None
            raise
