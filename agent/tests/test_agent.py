from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sysmonstm_agent.agent import Agent
from sysmonstm_agent.config import load
from sysmonstm_agent.layout import Layout, Sample
from sysmonstm_agent.measuring import Measuring, until_next
from sysmonstm_agent.memory_spool import MemorySpool
from sysmonstm_agent.metric import Metric, Reading
from sysmonstm_agent.sampler import Sampler

from tests.patience import PATIENCE_S

HEAT = Metric("system.temperature", "Cel", "How hot it is.")


@pytest.mark.parametrize(
    ("now_s", "wait_s"),
    [
        (1000.25, 4.75),
        (1004.999, 0.001),
        # A tick that took longer than the interval: the missed one is left out.
        (1007.0, 3.0),
        # Woken a moment early or late, it does not drift.
        (1010.001, 4.999),
        # Suspended for an hour.
        (4602.0, 3.0),
    ],
)
def test_ticks_keep_to_multiples_of_the_interval(now_s: float, wait_s: float) -> None:
    assert until_next(1000.0, now_s, 5.0) == pytest.approx(wait_s)


class Fan:
    name = "fan"
    metrics: tuple[Metric, ...] = (HEAT,)

    def collect(self, now_s: float) -> Iterator[Reading]:
        yield Reading(HEAT, 40)


class FullDisk(MemorySpool):
    """A spool that cannot keep anything for two ticks."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0

    def append(self, sample: Sample) -> int:
        if self.refused < 2:
            self.refused += 1
            raise OSError(28, "No space left on device")
        return super().append(sample)


def test_a_spool_in_trouble_does_not_end_the_measuring(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spool, told = FullDisk(), threading.Semaphore(0)
    measuring = Measuring(
        Sampler([Fan()]), spool, interval_s=0.01, appended=told.release
    )

    measuring.start()

    assert told.acquire(timeout=PATIENCE_S)
    measuring.stop()
    assert [r.message for r in caplog.records] == ["sample.failed", "sample.failed"]


def test_layouts_are_told_apart_by_what_is_in_them() -> None:
    assert Layout(()) == Layout(())


async def test_what_is_shown_is_measured_by_other_collectors_than_what_is_stored(
    tmp_path: Path,
) -> None:
    """Rates are from reading to reading: who watches would change what is stored."""
    said = {"COLLECTOR_SPOOL_DIR": "memory", "COLLECTOR_STATE_DIR": str(tmp_path)}
    config = load(said)
    agent = Agent(config, MemorySpool(), asyncio.get_running_loop())

    shown = agent._own_sampler()

    stored = {id(collector) for collector in agent._sampler._collectors}
    assert stored
    assert not stored & {id(collector) for collector in shown._collectors}
