"""A machine, a layout, and samples with values written out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from hub.machines.models import Machine
from hub.storage import layouts
from hub.storage.hot import set_hot
from hub.storage.hot_memory import MemoryHot
from hub.storage.layouts import LayoutInfo, SeriesInfo
from hub.storage.raw import Incoming
from hub.storage.sample import StoredSample

EPOCH = b"e" * 16
# 2026-03-01 12:00:00 UTC
NOON_MS = 1_772_366_400_000


@pytest.fixture(autouse=True)
def _hot_state_in_memory() -> None:
    set_hot(MemoryHot())


@pytest.fixture
def machine(db: None) -> Machine:
    return Machine.objects.create(machine_id="web-1", interval_s=5)


@pytest.fixture
def layout(db: None) -> LayoutInfo:
    return layouts.learn([series("system.cpu.utilization"), series("system.uptime")])


def series(metric: str, unit: str = "1", **attributes: str) -> SeriesInfo:
    return SeriesInfo(metric, unit, "gauge", "", tuple(sorted(attributes.items())))


def vector(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


def sample(
    machine: int,
    layout: int,
    sequence: int,
    *values: float,
    at_s: float = 0,
    late_ms: int = 0,
) -> StoredSample:
    time_ms = NOON_MS + round(at_s * 1000)
    return StoredSample(
        machine, layout, sequence, time_ms, time_ms + late_ms, vector(*values)
    )


def arriving(samples: Sequence[StoredSample], epoch: bytes = EPOCH) -> list[Incoming]:
    return [Incoming(s, epoch) for s in samples]
