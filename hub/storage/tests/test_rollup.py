from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest

from hub.machines.models import Machine
from hub.storage import layouts, raw, rollup
from hub.storage.expire import expire
from hub.storage.layouts import LayoutInfo
from hub.storage.models import HourSample, Late, MinuteSample, Sample, Watermark
from hub.storage.rollup import roll_up
from hub.storage.sample import StoredSample
from hub.storage.tests import naive
from hub.storage.tests.conftest import NOON_MS, arriving, sample, series, vector
from hub.storage.tiers import HOUR, MINUTE, RAW

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
METRICS = ("cpu", "memory", "disk")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def store(
    machine: Machine, layout: LayoutInfo, *ticks: tuple[float, ...]
) -> list[StoredSample]:
    """Store (seconds after noon, values…), numbered onwards from the cursor."""
    known = raw.cursor(machine.pk, b"e" * 16)
    samples = [
        sample(machine.pk, layout.id, known + n, *values, at_s=at_s)
        for n, (at_s, *values) in enumerate(ticks, start=1)
    ]
    raw.write(arriving(samples))
    return samples


def test_a_minute_holds_count_min_average_and_max(
    machine: Machine, layout: LayoutInfo
) -> None:
    store(machine, layout, (0, 1, 10), (5, 2, nan), (59.9, 6, 20), (60, 9, 30))

    roll_up(at(75))

    row = MinuteSample.objects.get()
    assert (row.machine_id, row.time, row.layout_id) == (machine.pk, NOON, layout.id)
    assert row.count == vector(3, 2)
    assert row.min == vector(1, 10)
    assert row.avg == vector(3, 15)
    assert row.max == vector(6, 20)


def test_a_minute_waits_for_samples_under_way(
    machine: Machine, layout: LayoutInfo
) -> None:
    store(machine, layout, (0, 1, 10))

    roll_up(at(74))
    assert not MinuteSample.objects.exists()

    roll_up(at(75))
    assert MinuteSample.objects.count() == 1


def test_hours_are_made_of_whole_hours_of_minutes(
    machine: Machine, layout: LayoutInfo
) -> None:
    store(machine, layout, (0, 1, 0), (5, 2, 0), (120, 6, 0), (3599, 7, 0))
    roll_up(at(3600 + 14))
    assert not HourSample.objects.exists()

    roll_up(at(3600 + 15))

    row = HourSample.objects.get()
    assert (row.time, row.count) == (NOON, vector(4, 4))
    assert (row.min, row.avg, row.max) == (vector(1, 0), vector(4, 0), vector(7, 0))


def test_a_second_run_changes_nothing(machine: Machine, layout: LayoutInfo) -> None:
    store(machine, layout, *((5 * n, n, 0) for n in range(1000)))
    roll_up(at(9000))
    minutes, hours = naive.stored(MINUTE), naive.stored(HOUR)

    done = roll_up(at(9000))
    Watermark.objects.update(until=NOON)
    roll_up(at(9000))

    assert done == rollup.Done()
    assert (naive.stored(MINUTE), naive.stored(HOUR)) == (minutes, hours)


def test_series_without_readings_and_infinities_do_no_harm(
    machine: Machine, layout: LayoutInfo
) -> None:
    store(machine, layout, (0, nan, nan), (60, inf, 1), (65, -inf, nan), (70, 1, 2))

    roll_up(at(7200))

    [row] = MinuteSample.objects.all()
    assert (row.time, row.count) == (at(60), vector(3, 2))
    assert (row.min, row.max) == (vector(-inf, 1), vector(inf, 2))
    assert HourSample.objects.get().count == vector(3, 2)


def test_late_samples_are_folded_into_their_minute_and_hour(
    machine: Machine, layout: LayoutInfo
) -> None:
    stored = store(machine, layout, (0, 1, 0), (4000, 5, 0))
    roll_up(at(8000))

    stored += store(machine, layout, (5, 3, 0), (600, 9, 0), (605, 11, 0))
    assert Late.objects.count() == 2
    done = roll_up(at(8000))

    assert done.mended == 2
    assert not Late.objects.exists()
    naive.check(MINUTE, stored)
    naive.check(HOUR, stored)


def test_fresh_samples_leave_no_marks(machine: Machine, layout: LayoutInfo) -> None:
    store(machine, layout, (0, 1, 0))
    roll_up(at(75))

    store(machine, layout, (60, 1, 0), (65, 1, 0))

    assert not Late.objects.exists()


def test_a_pause_is_caught_up_in_steps(
    machine: Machine, layout: LayoutInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "ROWS", 50)
    monkeypatch.setattr(rollup, "SAY_EVERY_S", 0)
    monkeypatch.setattr(rollup, "TURN_S", 0)
    stored = store(machine, layout, (0, 1, 0))
    roll_up(at(75))
    # Nothing for four days, then every five seconds for two hours.
    four_days = 4 * 86_400
    stored += store(
        machine, layout, *((four_days + 5 * n, n, 1) for n in range(2 * 720))
    )

    roll_up(at(four_days + 3 * 3600))

    naive.check(MINUTE, stored)
    naive.check(HOUR, stored)


def test_the_work_ends_in_time_and_goes_on_next_time(
    machine: Machine, layout: LayoutInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "LONGEST_STEP", 1)
    monkeypatch.setattr(rollup, "TURN_S", 0)
    stored = store(machine, layout, *((60 * n, n, 0) for n in range(60)))
    seconds = iter(range(0, 10_000, 8))

    roll_up(at(3700), clock=lambda: next(seconds))
    first = MinuteSample.objects.count()
    roll_up(at(3700))

    assert 0 < first < 60
    naive.check(MINUTE, stored)


def test_many_machines_are_done_in_slices(
    layout: LayoutInfo, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "MACHINES", {MINUTE: 2, HOUR: 3})
    stored = []
    for n in range(7):
        machine = Machine.objects.create(machine_id=f"web-{n}")
        stored += store(machine, layout, (n, n, 0), (n + 70, n, 1), (n + 4000, 0, n))

    roll_up(at(8000))

    naive.check(MINUTE, stored)
    naive.check(HOUR, stored)


def test_a_change_of_layout_gives_a_row_for_each(
    machine: Machine, layout: LayoutInfo
) -> None:
    after = layouts.learn([series("disk"), layout.series[0]])
    stored = store(machine, layout, (0, 1, 10), (5, 3, 20))
    stored += store(machine, after, (10, 0.5, 8))

    roll_up(at(3700))

    naive.check(MINUTE, stored)
    naive.check(HOUR, stored)
    assert MinuteSample.objects.count() == HourSample.objects.count() == 2


def test_raw_stays_until_it_is_rolled_up(machine: Machine, layout: LayoutInfo) -> None:
    store(machine, layout, (0, 1, 0), (3700, 2, 0))

    assert expire(RAW, at(0) + 30 * DAY) == 0
    roll_up(at(90))
    expire(RAW, at(0) + 30 * DAY)

    assert Sample.objects.filter(time=at(3700)).exists()


def test_what_comes_after_raw_expired_is_added_to_its_minute(
    machine: Machine, layout: LayoutInfo
) -> None:
    stored = store(machine, layout, (0, 1, 0), (5, 3, 0))
    roll_up(NOON + 2 * DAY)
    expire(RAW, NOON + 2 * DAY)
    assert not Sample.objects.exists()

    stored += store(machine, layout, (10, 8, nan), (15, 0, 4), (600, 7, 7))
    roll_up(NOON + 2 * DAY)
    stored += store(machine, layout, (20, 8, 5))
    roll_up(NOON + 2 * DAY)

    naive.check(MINUTE, stored)
    naive.check(HOUR, stored)
    assert not Sample.objects.exists()


def test_late_samples_hold_their_raw_back_until_they_are_seen(
    machine: Machine, layout: LayoutInfo
) -> None:
    stored = store(machine, layout, (0, 1, 0), (5, 3, 0))
    roll_up(NOON + 2 * DAY)
    stored += store(machine, layout, (10, 8, 0))

    assert expire(RAW, NOON + 2 * DAY) == 0
    assert Sample.objects.count() == 3
    roll_up(NOON + 2 * DAY)
    assert expire(RAW, NOON + 2 * DAY) > 0

    naive.check(MINUTE, stored)


def test_what_comes_after_its_minute_expired_is_dropped_and_counted(
    machine: Machine, layout: LayoutInfo
) -> None:
    stored = store(machine, layout, (0, 1, 0), (5, 3, 0))
    later = NOON + 30 * DAY
    roll_up(later)
    expire(RAW, later)
    expire(MINUTE, later)
    assert not MinuteSample.objects.exists()

    store(machine, layout, (10, 8, 0))
    done = roll_up(later)

    assert (done.mended, done.dropped) == (0, 1)
    assert not Late.objects.exists()
    naive.check(HOUR, stored)


def test_a_clock_that_was_ahead_is_forgiven(
    machine: Machine, layout: LayoutInfo
) -> None:
    stored = store(machine, layout, (0, 1, 0))
    roll_up(NOON + 400 * DAY)
    stored += store(machine, layout, (100, 2, 0))

    roll_up(at(300))
    stored += store(machine, layout, (301, 3, 0), (400, 4, 0))
    assert not Late.objects.exists()
    roll_up(at(500))

    naive.check(MINUTE, stored)


def test_machines_that_are_gone_are_left_out(
    machine: Machine, layout: LayoutInfo
) -> None:
    store(machine, layout, (0, 1, 0))
    roll_up(at(75))
    store(machine, layout, (1, 1, 0))
    machine.delete()

    roll_up(at(200))

    assert not Late.objects.exists()


def test_an_empty_store_has_nothing_to_roll_up(db: None) -> None:
    assert roll_up(NOON) == rollup.Done()
    assert Watermark.objects.get(pk="minute").until == at(-60)


def test_the_millisecond_belongs_to_the_minute_it_begins(
    machine: Machine, layout: LayoutInfo
) -> None:
    stored = store(machine, layout, (59.999, 1, 0), (60, 2, 0), (60.001, 3, 0))

    roll_up(at(200))

    naive.check(MINUTE, stored)
    assert NOON_MS % 60_000 == 0
