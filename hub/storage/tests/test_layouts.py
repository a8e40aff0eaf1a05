from __future__ import annotations

import threading
from datetime import timedelta
from time import monotonic

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from hub.storage import kept_layouts, layouts
from hub.storage.layouts import SeriesInfo, UnknownLayout
from hub.storage.models import Layout, LayoutSeries, Metric
from hub.storage.tests.conftest import series

CPU = SeriesInfo("system.cpu.utilization", "1", "gauge", "Busy.", ())
CORE = SeriesInfo(
    "system.cpu.utilization", "1", "gauge", "Busy.", (("cpu.logical_number", "0"),)
)
DISK = SeriesInfo(
    "system.disk.io",
    "By/s",
    "gauge",
    "",
    (("disk.io.direction", "read"), ("system.device", "sda")),
)

pytestmark = pytest.mark.django_db


def test_a_learnt_layout_is_found_by_its_number() -> None:
    learnt = layouts.learn([CPU, DISK, CORE])
    layouts.forget_all()

    found = layouts.get(learnt.id)

    assert found == learnt
    assert found.series == (CPU, DISK, CORE)


def test_the_same_series_are_one_layout() -> None:
    first = layouts.learn([CPU, DISK])
    layouts.forget_all()

    assert layouts.learn([CPU, DISK]).id == first.id
    assert layouts.learn([DISK, CPU]).id != first.id
    assert layouts.learn([CPU]).id != first.id
    assert Layout.objects.count() == 3
    assert Metric.objects.count() == 2


def test_what_is_known_costs_no_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    learnt = layouts.learn([CPU, DISK])

    with django_assert_num_queries(0):
        assert layouts.learn([CPU, DISK]) is learnt
        assert layouts.get(learnt.id) is learnt


def test_a_metric_is_described_by_whoever_came_last() -> None:
    layouts.learn([CPU])

    layouts.learn([SeriesInfo(CPU.metric, "%", "counter", "Very busy.", ())])

    [metric] = Metric.objects.all()
    assert (metric.unit, metric.kind, metric.help) == ("%", "counter", "Very busy.")


def test_the_rows_say_where_each_series_stands() -> None:
    learnt = layouts.learn([CPU, DISK])

    rows = LayoutSeries.objects.filter(layout=learnt.id).values_list(
        "position", "metric__name", "attributes"
    )

    assert list(rows) == [(0, CPU.metric, {}), (1, DISK.metric, dict(DISK.attributes))]


def test_an_unknown_number_is_refused() -> None:
    with pytest.raises(UnknownLayout):
        layouts.get(4711)


def test_a_series_is_found_by_exactly_its_attributes() -> None:
    layout = layouts.learn([CPU, CORE, DISK])

    assert layout.index(CPU.metric) == 0
    assert layout.index(CPU.metric, **{"cpu.logical_number": "0"}) == 1
    assert layout.index(CPU.metric, **{"cpu.logical_number": "1"}) is None
    assert layout.index("other") is None


def test_series_are_found_by_some_of_their_attributes() -> None:
    layout = layouts.learn([CPU, CORE, DISK])

    assert layout.matching(CPU.metric, {}) == [0, 1]
    assert layout.matching(CPU.metric, {"cpu.logical_number": "0"}) == [1]
    assert layout.matching(DISK.metric, {"system.device": "sda"}) == [2]
    assert layout.matching(DISK.metric, {"system.device": "sdb"}) == []


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_layouts, "CACHED_LAYOUTS", 2)

    for name in ("a", "b", "c", "d"):
        layouts.learn([series(name)])

    assert len(kept_layouts._by_id) == len(kept_layouts._by_digest) == 2
    assert layouts.learn([series("a")]).series == (series("a"),)


def test_the_cache_is_bounded_by_places_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_layouts, "CACHED_PLACES", 5)
    learnt = [layouts.learn([series(n), series("x")]) for n in ("a", "b", "c", "d")]

    assert [layouts.cached(one.id) for one in learnt] == [None, None, *learnt[2:]]


def test_what_was_learnt_long_ago_is_asked_for_again_and_noted_as_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learnt = layouts.learn([CPU])
    long_ago = timezone.now() - timedelta(days=60)
    Layout.objects.update(last_used=long_ago)
    assert layouts.learn([CPU]) is learnt
    assert Layout.objects.get().last_used == long_ago

    later = monotonic() + layouts.LEASE.total_seconds()
    monkeypatch.setattr(kept_layouts, "monotonic", lambda: later)

    assert layouts.at_hand([CPU]) is None
    assert layouts.learn([CPU]) is learnt
    assert Layout.objects.get().last_used > timezone.now() - timedelta(minutes=1)


@pytest.mark.django_db(transaction=True)
def test_two_that_learn_at_once_learn_the_same() -> None:
    at_once = threading.Barrier(4)
    numbers: list[int] = []

    def learn() -> None:
        try:
            connection.ensure_connection()
            at_once.wait(5)
            # The shared cache would hide the race of two processes.
            wanted = [DISK, CPU, CORE]
            numbers.append(layouts._store(layouts._digest(wanted), wanted))
        finally:
            connection.close()

    threads = [threading.Thread(target=learn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len(numbers) == 4
    assert len(set(numbers)) == 1
    assert LayoutSeries.objects.count() == 3
