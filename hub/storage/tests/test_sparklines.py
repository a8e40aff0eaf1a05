from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hub.machines.models import Machine
from hub.storage import layouts, raw, sparklines
from hub.storage.hot import Hot, set_hot
from hub.storage.hot_memory import MemoryHot
from hub.storage.layouts import LayoutInfo
from hub.storage.sparklines import sparklines as draw_lines
from hub.storage.tests.conftest import NOON_MS, arriving, sample, series
from hub.storage.tests.test_hot import Clock, clock, hot
from hub.storage.tests.test_states import BrokenHot

__all__ = ["clock", "hot"]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def drawn(trail: list[float | None]) -> dict[int, float]:
    """Return minutes before the last one → value."""
    assert len(trail) == 60
    return {n - 59: value for n, value in enumerate(trail) if value is not None}


def test_a_minute_is_the_mean_of_its_readings(
    hot: Hot, clock: Clock, layout: LayoutInfo
) -> None:
    hot.put([sample(1, layout.id, 1, 0.25, 0, at_s=0)])
    hot.put(
        [
            sample(1, layout.id, 2, 0.75, 0, at_s=30),
            sample(2, layout.id, 1, 1.0, 0, at_s=30),
        ]
    )
    clock.move(60)
    hot.put([sample(1, layout.id, 3, 0.125, 0, at_s=60)])

    trails = hot.trails([1, 2, 3])

    assert drawn(trails[1]) == {-1: 0.5, 0: 0.125}
    assert drawn(trails[2]) == {-1: 1.0}
    assert drawn(trails[3]) == {}


def test_a_trail_is_an_hour_long(hot: Hot, clock: Clock, layout: LayoutInfo) -> None:
    hot.put([sample(1, layout.id, 1, 0.5, 0)])

    clock.move(59 * 60)
    assert drawn(hot.trails([1])[1]) == {-59: 0.5}
    clock.move(60)
    hot.put([sample(2, layout.id, 1, 0.5, 0, at_s=3600)])
    assert drawn(hot.trails([1])[1]) == {}


def test_nothing_leaves_no_trail_and_zero_does(hot: Hot, layout: LayoutInfo) -> None:
    hot.put([sample(1, layout.id, 1, float("nan"), 0), sample(2, layout.id, 1, 0.0, 0)])

    trails = hot.trails([2, 1])

    assert drawn(trails[1]) == {}
    assert drawn(trails[2]) == {0: 0.0}
    assert hot.trails([]) == {}


def test_a_layout_without_cpu_leaves_no_trail(hot: Hot, db: None) -> None:
    other = layouts.learn([series("system.uptime")])

    hot.put([sample(1, other.id, 1, 5), sample(2, 999_999, 1, 5)])

    assert drawn(hot.trails([1])[1]) == drawn(hot.trails([2])[2]) == {}


def test_memory_forgets_old_minutes(clock: Clock, layout: LayoutInfo) -> None:
    memory = MemoryHot(clock)
    memory.put([sample(1, layout.id, 1, 0.5, 0)])

    clock.move(2 * 3600)
    memory.put([sample(1, layout.id, 2, 0.5, 0, at_s=7200)])

    assert len(memory._trails) == 1


def test_lines_come_from_hot_state(machine: Machine, layout: LayoutInfo) -> None:
    memory = MemoryHot(lambda: NOON_MS / 1000)
    set_hot(memory)
    memory.put([sample(machine.pk, layout.id, 1, 0.5, 0)])

    assert drawn(draw_lines([machine], now=NOON)[machine.pk]) == {0: 0.5}


def test_what_hot_state_lost_is_read_from_the_database(
    machine: Machine, layout: LayoutInfo
) -> None:
    set_hot(BrokenHot())
    cpu = [(-3600, 1.0), (-3540, 0.5), (-65, 0.25), (-61, 0.75), (-5, 0.125)]
    raw.write(
        arriving(
            [
                sample(machine.pk, layout.id, n, value, 0, at_s=at_s)
                for n, (at_s, value) in enumerate(cpu, start=1)
            ]
        )
    )

    line = draw_lines([machine], now=NOON)[machine.pk]

    # The minute that begins at noon is the last; an hour before it is too old.
    assert drawn(line) == {-59: 0.5, -2: 0.5, -1: 0.125}


def test_many_machines_do_not_ask_the_database(
    machine: Machine, layout: LayoutInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparklines, "ASKED_FOR", 0)
    raw.write(arriving([sample(machine.pk, layout.id, 1, 0.5, 0)]))

    assert draw_lines([machine], now=NOON) == {machine.pk: [None] * 60}


def test_a_line_that_begins_late_is_completed_from_the_database(
    machine: Machine, layout: LayoutInfo
) -> None:
    memory = MemoryHot(lambda: NOON_MS / 1000)
    set_hot(memory)
    before = sample(machine.pk, layout.id, 1, 0.25, 0, at_s=-600)
    after = sample(machine.pk, layout.id, 2, 0.5, 0)
    raw.write(arriving([before, after]))
    memory.put([after])

    assert drawn(draw_lines([machine], now=NOON)[machine.pk]) == {-10: 0.25, 0: 0.5}
