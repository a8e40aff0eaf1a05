from __future__ import annotations

import pytest
from sysmonstm_proto import metrics_pb2 as pb

from hub.ingest import rations
from hub.ingest.rations import LAYOUTS, SAMPLES, Exhausted, Rations
from hub.ingest.tests import wire


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def batch(count: int, *values: float) -> pb.MetricsRequest:
    return wire.ticks(range(1, count + 1), values)


def test_a_weeks_backlog_of_a_sample_a_second_is_taken_at_once() -> None:
    ration = Rations(clock=Clock()).of(1)
    message = batch(1000, *[0.5] * 60)

    for _ in range(605):
        ration.samples(message, 1000)


def test_more_than_that_has_to_wait_and_is_told_how_long() -> None:
    clock = Clock()
    ration = Rations(clock=clock).of(1)
    ration.samples(batch(1), SAMPLES)

    with pytest.raises(Exhausted) as told:
        ration.samples(batch(1), 100)

    assert told.value.retry_after_s == 5
    clock.now_s += 5
    ration.samples(batch(1), 100)


def test_a_share_is_a_machines_own_however_often_it_connects() -> None:
    shares = Rations(clock=Clock())
    shares.of(1).samples(batch(1), SAMPLES)

    shares.of(2).samples(batch(1), 1)
    with pytest.raises(Exhausted):
        shares.of(1).samples(batch(1), 1)


def test_bytes_are_counted_as_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    message = batch(100, *[0.5] * 2000)
    size = message.ByteSize()
    monkeypatch.setattr(rations, "BYTES", 3 * size)
    ration = Rations(clock=Clock()).of(1)

    for _ in range(3):
        ration.samples(message, 0)
    with pytest.raises(Exhausted, match="bytes"):
        ration.samples(message, 0)


def test_new_lists_of_series_have_a_bound() -> None:
    clock = Clock()
    ration = Rations(clock=clock).of(1)
    for _ in range(LAYOUTS):
        ration.layout(30_000)

    with pytest.raises(Exhausted, match="lists of series"):
        ration.layout(30_000)
    clock.now_s += 5
    ration.layout(30_000)


def test_so_have_the_series_in_them() -> None:
    """A mebibyte of attributes every five seconds would be 18 GB a day."""
    clock = Clock()
    ration = Rations(clock=clock).of(1)
    for _ in range(16):
        ration.layout(1024**2)

    with pytest.raises(Exhausted, match="new series") as refused:
        ration.layout(1024**2)
    assert refused.value.retry_after_s == 512
    clock.now_s += 511
    with pytest.raises(Exhausted):
        ration.layout(1024**2)
    clock.now_s += 2
    ration.layout(1024**2)


def test_what_is_remembered_has_a_bound() -> None:
    shares = Rations(limit=2, clock=Clock())
    first = shares.of(1)
    shares.of(2)
    assert shares.of(1) is first
    shares.of(3)

    assert shares.of(1) is first
    assert len(shares._known) == 2
