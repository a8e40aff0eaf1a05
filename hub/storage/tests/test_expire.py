from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db import connection, transaction

from hub.machines.models import Machine
from hub.storage import expire as expiring
from hub.storage import raw, tasks
from hub.storage.expire import expire, line
from hub.storage.layouts import LayoutInfo
from hub.storage.models import HourSample, MinuteSample, Sample, Watermark
from hub.storage.rollup import roll_up
from hub.storage.sample import StoredSample
from hub.storage.tests.conftest import arriving, sample
from hub.storage.tiers import HOUR, MINUTE, RAW, TIERS, hold

HOUR_S = 3600
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def left() -> list[int]:
    return list(Sample.objects.order_by("sequence").values_list("sequence", flat=True))


def hourly(machine: Machine, layout: LayoutInfo) -> list[StoredSample]:
    return [
        sample(machine.pk, layout.id, n, 1, 2, at_s=n * HOUR_S) for n in range(1, 11)
    ]


def expire_raw(now: datetime) -> int:
    """Expire what has been rolled up, as it is in a hub that runs."""
    roll_up(now)
    return expire(RAW, now)


def since(tier: str) -> datetime | None:
    return Watermark.objects.get(pk=tier).since


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiring, "is_hypertable", lambda tier: False)


def test_what_is_older_than_the_retention_goes(
    machine: Machine, layout: LayoutInfo
) -> None:
    raw.write(arriving(hourly(machine, layout)))

    # Samples at 13:00 … 22:00; the line is drawn at 18:00.
    expire_raw(NOON + timedelta(hours=6) + settings.RAW_RETENTION)

    assert left() == [6, 7, 8, 9, 10]


def test_nothing_goes_before_its_time(machine: Machine, layout: LayoutInfo) -> None:
    raw.write(arriving(hourly(machine, layout)))

    assert expire_raw(NOON + timedelta(hours=1) + settings.RAW_RETENTION) == 0

    assert len(left()) == 10


@pytest.mark.production_only
def test_timescale_drops_whole_chunks(machine: Machine, layout: LayoutInfo) -> None:
    raw.write(arriving(hourly(machine, layout)))

    # A chunk of two hours that began at 18:00 is kept until 20:00 is too old.
    dropped = expire_raw(NOON + timedelta(hours=7) + settings.RAW_RETENTION)

    assert dropped == 3
    assert left() == [6, 7, 8, 9, 10]


def test_rows_of_every_machine_go_step_by_step(
    machine: Machine, layout: LayoutInfo, plain: None
) -> None:
    other = Machine.objects.create(machine_id="web-2")
    raw.write(arriving(hourly(machine, layout) + hourly(other, layout)))

    deleted = expire_raw(NOON + timedelta(hours=6) + settings.RAW_RETENTION)

    assert deleted == 10
    assert left() == [6, 6, 7, 7, 8, 8, 9, 9, 10, 10]
    assert since("raw") == NOON + timedelta(hours=6)


def test_the_work_ends_in_time_and_says_how_far_it_came(
    machine: Machine, layout: LayoutInfo, plain: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring, "LONGEST_STEP", 60)
    raw.write(arriving(hourly(machine, layout)))
    now = NOON + timedelta(days=9) + settings.RAW_RETENTION
    roll_up(now)
    seconds = iter([0, *[1] * 10, expiring.WITHIN_S + 1])

    expire(RAW, now, clock=lambda: next(seconds))

    reached = since("raw")
    assert reached is not None
    assert 0 < len(left()) < 10
    assert all(row.time >= reached for row in Sample.objects.all())


def test_an_empty_table_has_nothing_to_expire(machine: Machine) -> None:
    assert expire_raw(NOON) == 0


def test_each_tier_is_kept_for_its_own_time(
    machine: Machine, layout: LayoutInfo, plain: None
) -> None:
    ticks = [sample(machine.pk, layout.id, n, 1, 2, at_s=n * 86_400) for n in range(95)]
    raw.write(arriving(ticks))
    now = NOON + 94 * DAY + timedelta(minutes=2)
    roll_up(now)

    for tier in TIERS:
        expire(tier, now)

    assert Sample.objects.count() == 1
    assert MinuteSample.objects.count() == 8
    # Whole days: a day's hours go together.
    assert HourSample.objects.count() == 90


def test_minutes_stay_until_their_hours_are_made(
    machine: Machine, layout: LayoutInfo
) -> None:
    raw.write(arriving(hourly(machine, layout)))
    now = NOON + 30 * DAY
    roll_up(now)
    Watermark.objects.filter(pk="hour").update(until=NOON + timedelta(hours=3))

    assert line(MINUTE, now) == NOON + timedelta(hours=3)


def test_a_restored_archive_holds_the_hours(
    machine: Machine, layout: LayoutInfo, plain: None
) -> None:
    raw.write(arriving(hourly(machine, layout)))
    now = NOON + 400 * DAY
    roll_up(now)
    expire(MINUTE, now)
    Watermark.objects.filter(pk="hour").update(hold=now + DAY)

    assert expire(HOUR, now) == 0
    assert expire(HOUR, now + DAY) == 10


def test_the_tasks_roll_up_and_expire_by_the_clock(
    machine: Machine, layout: LayoutInfo, plain: None
) -> None:
    raw.write(arriving(hourly(machine, layout)))

    tasks.roll_up()
    tasks.expire_tiers()

    assert left() == []
    assert not MinuteSample.objects.exists()
    assert connection.is_usable()


@pytest.mark.production_only
@pytest.mark.django_db(transaction=True)
def test_who_works_on_a_tier_is_left_alone(
    machine: Machine, layout: LayoutInfo
) -> None:
    raw.write(arriving(hourly(machine, layout)))
    now = NOON + 2 * DAY
    roll_up(now)
    holds, may_go_on = threading.Event(), threading.Event()

    def work() -> None:
        try:
            with transaction.atomic():
                hold(RAW)
                holds.set()
                may_go_on.wait(10)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    holds.wait(10)
    busy = expire(RAW, now)
    may_go_on.set()
    worker.join(10)

    assert busy == 0
    assert expire(RAW, now) > 0
