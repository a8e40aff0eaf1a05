from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from hub.machines.models import Machine
from hub.storage import chunks, dead_letters, layouts, prune, raw, tasks
from hub.storage.expire import expire, is_hypertable
from hub.storage.layouts import LayoutInfo
from hub.storage.models import HourSample, Layout, LayoutSeries, Metric, Watermark
from hub.storage.prune import Pruned
from hub.storage.rollup import roll_up
from hub.storage.tests.conftest import NOON_MS, arriving, sample, series
from hub.storage.tiers import TIERS

NOON = datetime.fromtimestamp(NOON_MS / 1000, UTC)
NOW = timezone.now().replace(microsecond=0)
DAY = timedelta(days=1)
LONG_AGO = NOW - 100 * DAY

pytestmark = pytest.mark.django_db


@pytest.fixture
def _old_rows_are_gone(db: None) -> None:
    kept = NOW - 90 * DAY
    Watermark.objects.bulk_create(
        Watermark(tier=tier.name, since=kept, until=NOW) for tier in TIERS
    )


def old(*names: str) -> LayoutInfo:
    """Learn a layout that was last used long ago."""
    made = layouts.learn([series(name) for name in names])
    Layout.objects.filter(pk=made.id).update(last_used=LONG_AGO)
    layouts.forget_all()
    return made


@pytest.mark.usefixtures("_old_rows_are_gone")
def test_what_nobody_has_used_for_longer_than_any_row_is_kept_goes() -> None:
    old("container.a", "system.cpu.utilization")
    old("container.b")
    kept = layouts.learn([series("system.cpu.utilization")])

    assert prune.prune(NOW) == Pruned(layouts=2, metrics=2)

    assert [layout.pk for layout in Layout.objects.all()] == [kept.id]
    assert LayoutSeries.objects.count() == Metric.objects.count() == 1
    assert prune.prune(NOW) == Pruned()


@pytest.mark.usefixtures("_old_rows_are_gone")
def test_what_an_archive_may_need_to_know_of_a_metric_stays(
    settings: Settings,
) -> None:
    settings.ARCHIVE_URL = "/somewhere"
    old("container.a")

    assert prune.prune(NOW) == Pruned(layouts=1)


@pytest.mark.usefixtures("_old_rows_are_gone")
def test_the_layout_of_a_dead_letter_stays(machine: Machine) -> None:
    kept = old("container.a")
    [letter] = arriving([sample(machine.pk, kept.id, 1, 0.5)])
    dead_letters.bury(letter, "no room")

    assert prune.prune(NOW) == Pruned()


@pytest.mark.parametrize(
    "change",
    [
        {"tier": "raw", "since": None},
        {"tier": "minute", "since": LONG_AGO - DAY},
        {"tier": "hour", "until": NOW - 4 * timedelta(hours=1)},
    ],
    ids=["nothing has expired", "old minutes are there", "roll-up is behind"],
)
@pytest.mark.usefixtures("_old_rows_are_gone")
def test_nothing_goes_while_a_row_may_refer_to_it(change: dict[str, object]) -> None:
    old("container.a")
    Watermark.objects.filter(tier=change.pop("tier")).update(**change)

    assert prune.prune(NOW) == Pruned()


def test_a_layout_goes_after_the_last_hour_that_is_made_of_it(machine: Machine) -> None:
    used = old("container.a")
    Layout.objects.update(last_used=NOON - 30 * DAY)
    raw.write(arriving([sample(machine.pk, used.id, 1, 0.5)]))

    def live_until(now: datetime) -> None:
        roll_up(now)
        for tier in TIERS:
            if is_hypertable(tier):
                chunks.prepare(tier, now)
            expire(tier, now)
        prune.prune(now)

    live_until(NOON + DAY)
    assert Layout.objects.get().last_used > NOON
    live_until(NOON + 89 * DAY)
    assert HourSample.objects.count() == Layout.objects.count() == 1
    # Where whole chunks are dropped, the next one must be old enough as well.
    for days in (120, 200, 300):
        live_until(NOON + days * DAY)

    assert HourSample.objects.count() == Layout.objects.count() == 0


@pytest.mark.usefixtures("_old_rows_are_gone")
def test_it_is_done_with_what_expires() -> None:
    old("container.a")

    tasks.expire_tiers()

    assert not Layout.objects.exists()


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    found: list[object] = []

    def run() -> None:
        try:
            found.append(work())
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    # Long enough to come to the row that the other holds.
    thread.join(0.3)
    return thread, found


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_old_rows_are_gone")
def test_an_agent_that_comes_back_while_its_layout_goes_gets_a_new_one() -> None:
    gone = old("container.a", "container.b")

    with transaction.atomic():
        assert prune._layouts(NOW - 97 * DAY) == 1
        thread, learnt = in_thread(lambda: layouts.learn(gone.series).id)
        assert not learnt
    thread.join(20)

    [layout] = Layout.objects.all()
    assert learnt == [layout.pk]
    assert layout.pk != gone.id
    assert layout.series.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_old_rows_are_gone")
def test_a_layout_that_is_taken_into_use_at_that_moment_stays() -> None:
    used = old("container.a")

    with transaction.atomic():
        assert layouts.learn(used.series).id == used.id
        thread, _ = in_thread(lambda: prune.prune(NOW))
    thread.join(20)

    [layout] = Layout.objects.all()
    assert (layout.pk, layout.series.count()) == (used.id, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_old_rows_are_gone")
def test_a_metric_that_a_new_layout_takes_at_that_moment_stays() -> None:
    old("container.a")
    prune._layouts(NOW - 97 * DAY)

    with transaction.atomic():
        layouts.learn([series("container.a"), series("container.b")])
        thread, found = in_thread(prune._metrics)
    thread.join(20)

    assert found == [0]
    assert LayoutSeries.objects.count() == Metric.objects.count() == 2
