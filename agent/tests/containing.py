"""How tests collect containers, and read what came."""

from __future__ import annotations

import time
from pathlib import Path

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.collectors.containers import Containers
from sysmonstm_agent.files import Files
from sysmonstm_agent.metric import Reading

from tests.conftest import machine
from tests.patience import PATIENCE_S
from tests.test_values import spell

# Half an hour after the moment of the written answers.
NOW_S = 1795163400.0


def containers(
    folder: Path, files: Files | None = None, *, every_s: float = 5.0
) -> Containers:
    return Containers(
        files or machine("web"),
        [str(folder / "engine.sock")],
        every_s=every_s,
        wall=lambda: NOW_S,
    )


def collect(collector: Containers, now_s: float = 100.0) -> dict[str, float]:
    """Collect, after whatever is under way has been answered."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        readings: list[Reading] = []
        try:
            readings = list(collector.collect(now_s))
        except NoData as absent:
            if str(absent) != "not looked yet" or time.monotonic() > deadline_s:
                raise
        if readings and readings[0].value == 0:
            return {spell(r): r.value for r in readings}
        assert time.monotonic() < deadline_s, readings[:1]
        time.sleep(0.01)


def told(readings: dict[str, float], name: str) -> dict[str, float]:
    """Return what was told of one container, without the common beginning."""
    return {
        series.removeprefix("container.").replace(f"{{{name}", "{"): value
        for series, value in readings.items()
        if f"{{{name}" in series
    }
