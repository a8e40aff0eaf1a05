"""Windows over several tiers: nothing twice, nothing missing, nothing made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import nan

import pytest

from hub.machines.models import Machine
from hub.storage import expire as expiring
from hub.storage import layouts, raw
from hub.storage.expire import expire
from hub.storage.layouts import LayoutInfo
from hub.storage.models import Sample, Watermark
from hub.storage.rollup import roll_up
from hub.storage.spans import parts
from hub.storage.tests.conftest import NOON_MS, arriving, sample
from hub.storage.tiers import MINUTE, RAW, Tier, watermarks
from hub.storage.window import Selector, Window, window

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE_S, HOUR_S = 60, 3600
CPU = Selector("system.cpu.utilization")


@pytest.fixture(autouse=True)
def _to_the_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    # Rows expire at the very moment and not by chunks: seams lie where we want.
    monkeypatch.setattr(expiring, "is_hypertable", lambda tier: False)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


@pytest.fixture
def half_a_minute_each(machine: Machine, layout: LayoutInfo) -> Machine:
    """A sample every 30 s for 12 hours; its value is its number."""
    ticks = [
        sample(machine.pk, layout.id, n + 1, n, nan, at_s=30 * n) for n in range(1440)
    ]
    raw.write(arriving(ticks))
    machine.interval_s = 30
    return machine


def expire_until(tier: Tier, moment: datetime) -> None:
    expire(tier, moment + tier.retention)
    assert watermarks()[tier.name].since == moment


def told(found: Window) -> list[tuple[float, float, float, float]]:
    """Return (hours after noon, min, avg, max) of the one series."""
    [cpu] = found.series
    hours = (cpu.time_ms - NOON_MS) / 1000 / HOUR_S
    columns = (hours, cpu.min, cpu.avg, cpu.max)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def wanted(step_s: int, first: int, last: int) -> list[tuple[float, ...]]:
    """Return the same of the samples first … last, all of them."""
    size = step_s // 30
    return [
        (n * 30 / HOUR_S, n, n + (size - 1) / 2, n + size - 1)
        for n in range(first, last, size)
    ]


def test_a_wide_step_is_read_from_hours_then_minutes_then_raw(
    half_a_minute_each: Machine,
) -> None:
    roll_up(at(10.5) + timedelta(seconds=15))

    found = window(half_a_minute_each, [CPU], at(0), at(12), points=12)

    assert (found.tier, found.step_s) == ("hour", HOUR_S)
    assert found.parts == [
        ("hour", at(0), at(10)),
        ("minute", at(10), at(10.5)),
        ("raw", at(10.5), at(12)),
    ]
    assert told(found) == wanted(HOUR_S, 0, 1440)


def test_a_step_of_minutes_is_read_from_minutes_then_raw(
    half_a_minute_each: Machine,
) -> None:
    roll_up(at(10) + timedelta(minutes=7, seconds=15))

    found = window(half_a_minute_each, [CPU], at(0), at(12), points=144)

    assert (found.tier, found.step_s) == ("minute", 300)
    seam = at(10) + timedelta(minutes=7)
    assert found.parts == [("minute", at(0), seam), ("raw", seam, at(12))]
    assert told(found) == wanted(300, 0, 1440)


def test_where_raw_has_expired_minutes_answer_and_all_is_as_coarse(
    half_a_minute_each: Machine,
) -> None:
    roll_up(at(12) + timedelta(minutes=1))
    expire_until(RAW, at(6.5))

    found = window(half_a_minute_each, [CPU], at(6), at(7), points=500)

    assert (found.tier, found.step_s) == ("minute", MINUTE_S)
    assert found.parts == [("minute", at(6), at(6.5)), ("raw", at(6.5), at(7))]
    assert told(found) == wanted(MINUTE_S, 720, 840)


def test_where_minutes_have_expired_hours_answer(half_a_minute_each: Machine) -> None:
    roll_up(at(12) + timedelta(minutes=1))
    expire_until(RAW, at(9))
    expire_until(MINUTE, at(6))

    found = window(half_a_minute_each, [CPU], at(3), at(11), points=500)

    assert (found.tier, found.step_s) == ("hour", HOUR_S)
    assert [(tier, start) for tier, start, _ in found.parts] == [
        ("hour", at(3)),
        ("minute", at(6)),
    ]
    assert told(found) == wanted(HOUR_S, 360, 1320)


def test_raw_alone_stays_as_it_was_sampled(half_a_minute_each: Machine) -> None:
    roll_up(at(12))
    expire_until(RAW, at(6))

    found = window(half_a_minute_each, [CPU], at(6), at(7), points=500)

    assert (found.tier, found.step_s) == ("raw", 30)
    assert found.parts == [("raw", at(6), at(7))]
    assert told(found) == wanted(30, 720, 840)


def test_before_anything_is_rolled_up_all_is_raw(half_a_minute_each: Machine) -> None:
    found = window(half_a_minute_each, [CPU], at(0), at(12), points=12)

    assert (found.tier, found.parts) == ("raw", [("raw", at(0), at(12))])
    assert told(found) == wanted(HOUR_S, 0, 1440)


def test_averages_weigh_by_their_counts(machine: Machine, layout: LayoutInfo) -> None:
    ticks = [(0, 1), (1, 1), (2, 1), (70, 9)]
    raw.write(
        arriving(
            [
                sample(machine.pk, layout.id, n, value, nan, at_s=second)
                for n, (second, value) in enumerate(ticks, 1)
            ]
        )
    )
    roll_up(at(3))

    for points in (1, 4):
        [cpu] = window(machine, None, at(0), at(1), points=points).series
        assert (cpu.min.tolist(), cpu.avg.tolist(), cpu.max.tolist()) == (
            [1],
            [3],
            [9],
        )


def test_a_gap_is_absent_in_every_tier(machine: Machine, layout: LayoutInfo) -> None:
    hours = (0, 1, 5, 6)
    raw.write(
        arriving(
            [
                sample(machine.pk, layout.id, n, n, nan, at_s=hour * HOUR_S)
                for n, hour in enumerate(hours, 1)
            ]
        )
    )
    roll_up(at(8))

    for points in (8, 400, 5000):
        found = window(machine, None, at(0), at(8), points=points)
        assert [hour for hour, *_ in told(found)] == [0, 1, 5, 6]


def test_a_series_goes_on_through_layouts_and_tiers(
    machine: Machine, layout: LayoutInfo
) -> None:
    after = layouts.learn([layout.series[0]])
    raw.write(arriving([sample(machine.pk, layout.id, 1, 1, 5, at_s=0)]))
    raw.write(arriving([sample(machine.pk, after.id, 2, 3, at_s=10)]))
    raw.write(arriving([sample(machine.pk, after.id, 3, 8, at_s=HOUR_S)]))
    roll_up(at(1) + timedelta(seconds=20))

    found = window(machine, None, at(0), at(2), points=2)

    by_metric = {s.info.metric: s.avg.tolist() for s in found.series}
    assert by_metric == {"system.cpu.utilization": [2, 8], "system.uptime": [5]}


def test_late_samples_that_raw_keeps_below_the_seam_are_not_told_twice(
    half_a_minute_each: Machine, layout: LayoutInfo
) -> None:
    roll_up(at(12))
    expire_until(RAW, at(6))
    late = sample(half_a_minute_each.pk, layout.id, 9000, 77, nan, at_s=HOUR_S + 1)
    raw.write(arriving([late]))
    assert Sample.objects.filter(time__lt=at(6)).exists()

    for _ in range(2):
        found = window(half_a_minute_each, [CPU], at(1), at(1.5), points=500)
        assert len(told(found)) == 30
        roll_up(at(12))
    # The samples 120 and 121, and the late one.
    assert told(found)[0] == (1, 77, 106, 121)


def test_parts_cover_the_window_without_a_hole_or_an_overlap() -> None:
    def mark(**told: float) -> Watermark:
        return Watermark(**{name: at(hours) for name, hours in told.items()})

    marks = {
        "raw": mark(since=20),
        "minute": mark(since=10, until=30),
        "hour": mark(since=0, until=29),
    }
    for step_s in (0, 5, 60, 600, 3600, 86_400):
        for start in range(-5, 40, 5):
            found = parts(at(start), at(41), step_s, marks)
            assert [p.start for p in found] == [at(start), *(p.end for p in found[:-1])]
            assert found[-1].end == at(41)
            assert all(p.start < p.end for p in found)
