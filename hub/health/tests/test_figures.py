from __future__ import annotations

import itertools
import math

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hub.health.figures import Recent, quantile

BOUNDS = (0.1, 1.0, 10.0, math.inf)


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ((10, 10, 10, 10), 0.5, 0.05),
        ((0, 10, 10, 10), 0.5, 0.55),
        ((5, 10, 10, 10), 0.5, 0.1),
        ((0, 0, 0, 10), 0.99, 10.0),
        ((99, 99, 100, 100), 0.99, 0.1),
    ],
)
def test_a_quantile_lies_within_its_bucket(
    counts: tuple[float, ...], share: float, expected: float
) -> None:
    assert quantile(BOUNDS, counts, share) == pytest.approx(expected)


def test_of_nothing_there_is_no_quantile() -> None:
    assert math.isnan(quantile(BOUNDS, (0, 0, 0, 0), 0.5))


class Clock:
    """Moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_only_the_last_minutes_are_told() -> None:
    registry, clock = CollectorRegistry(), Clock()
    took = Histogram("took_seconds", "", buckets=(0.1, 1, 10), registry=registry)
    recent = Recent(registry, clock)

    for _ in range(100):
        took.observe(5)  # a slow start, long ago
    for _ in range(40):
        clock.now += 10
        recent.note()
    for _ in range(10):
        took.observe(0.05)

    found = recent.figures()["took_seconds"]
    assert found == {
        "count": 10,
        "p50": pytest.approx(0.05),
        "p99": pytest.approx(0.099),
    }


def test_a_histogram_that_counted_nothing_has_no_quantiles() -> None:
    registry = CollectorRegistry()
    Histogram("took_seconds", "", registry=registry)

    found = Recent(registry, Clock()).figures()

    assert found["took_seconds"] == {"count": 0, "p50": None, "p99": None}


def test_series_of_one_name_are_told_as_their_sum() -> None:
    registry = CollectorRegistry()
    refused = Counter("refused", "", ["reason"], registry=registry)
    refused.labels("old").inc(2)
    refused.labels("long").inc(3)
    Gauge("waiting", "", registry=registry).set(7)

    found = Recent(registry, Clock()).figures()

    assert found["refused_total"] == 5
    assert found["waiting"] == 7


def test_what_was_spent_before_the_first_note_is_not_spent_now() -> None:
    registry, ticks = CollectorRegistry(), itertools.count()
    spent = Counter("process_cpu_seconds", "", registry=registry)
    recent = Recent(registry, lambda: float(next(ticks)))
    spent.inc(40)

    first = recent.figures()
    recent.note()
    spent.inc(0.25)

    assert "cpu_ratio" not in first
    assert recent.figures()["cpu_ratio"] == pytest.approx(0.25)
