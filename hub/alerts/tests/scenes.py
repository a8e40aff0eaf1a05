"""Rules, layouts and samples with values written out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from hub.alerts.conditions import judge
from hub.alerts.spec import Kind, Operator, Spec
from hub.alerts.state import REST, Happening, State, step
from hub.storage.layouts import SeriesInfo

CPU = "system.cpu.utilization"
DISK = "system.filesystem.utilization"
GAP_MS = 30_000


def spec(**said: Any) -> Spec:
    fields: dict[str, Any] = {
        "rule": 1,
        "kind": Kind.THRESHOLD,
        "metric": CPU,
        "operator": Operator.GT,
        "warning": 0.8,
    }
    return Spec(**fields | said)


def series(metric: str, unit: str = "1", **attributes: str) -> SeriesInfo:
    return SeriesInfo(metric, unit, "gauge", "", tuple(sorted(attributes.items())))


def disk(mountpoint: str, **attributes: str) -> SeriesInfo:
    place = {"system.filesystem.mountpoint": mountpoint}
    return series(DISK, **place | attributes)


def vector(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


def run(
    rule: Spec,
    values: Iterable[float],
    *,
    state: State = REST,
    every_s: float = 5,
    start_s: float = 1000,
    gap_ms: int = GAP_MS,
) -> tuple[State, list[tuple[float, Happening]]]:
    """Step through values; return the last state and (second, happening)."""
    told = []
    for number, value in enumerate(values):
        at_s = start_s + number * every_s
        # As a sample brings it: float32.
        reading = judge(rule, float(np.float32(value)))
        state, happening = step(rule, state, reading, round(at_s * 1000), gap_ms=gap_ms)
        if happening is not None:
            told.append((at_s - start_s, happening))
    return state, told
