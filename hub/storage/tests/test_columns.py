from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from hub.machines.models import Machine
from hub.storage import layouts, raw
from hub.storage.columns import read
from hub.storage.layouts import LayoutInfo, SeriesInfo
from hub.storage.picked import MAX_PLACES, Span
from hub.storage.rollup import roll_up
from hub.storage.sample import StoredSample
from hub.storage.tiers import to_ms
from hub.storage.window import Selector, window

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
START = NOON - timedelta(hours=4)
USE, OTHER = "system.filesystem.utilization", "system.cpu.utilization"
MINUTE, HOUR = 60_000, 3_600_000


def disk(mount: str) -> SeriesInfo:
    place = (("system.filesystem.mountpoint", mount),)
    return SeriesInfo(USE, "1", "gauge", "", place)


def store(name: str, *mounts: str, first: int = 0) -> Machine:
    """Store four hours of samples, by two layouts one after the other, with a gap."""
    machine = Machine.objects.create(
        machine_id=name, interval_s=20, first_seen=START - timedelta(days=1)
    )
    other = SeriesInfo(OTHER, "1", "gauge", "", ())
    known = [layouts.learn([disk(mount) for mount in mounts])]
    known.append(layouts.learn([other, *(disk(mount) for mount in reversed(mounts))]))
    samples = []
    for number in range(first, 720):
        if 300 < number < 360:
            continue
        layout = known[number > 400]
        values = np.sin(number / 50 + np.arange(len(layout.series))).astype("<f4")
        values[number % 7 :: 7] = np.nan
        at = to_ms(START) + number * 20_000
        samples.append(
            StoredSample(machine.pk, layout.id, number + 1, at, at, values.tobytes())
        )
    raw.write([raw.Incoming(sample, b"e" * 16) for sample in samples])
    return machine


def of(metric: str) -> Callable[[LayoutInfo], list[int]]:
    return lambda layout: layout.matching(metric, {})


@pytest.mark.parametrize("rolled", [False, True], ids=["samples", "tiers"])
@pytest.mark.parametrize("width_ms", [MINUTE, 5 * MINUTE, HOUR])
def test_many_machines_are_read_as_each_by_itself(
    width_ms: int, *, rolled: bool
) -> None:
    machines = [store("web-1", "/", "/data"), store("web-2", "/", first=200)]
    if rolled:
        roll_up(NOON - timedelta(minutes=10))
    spans = [Span(machine.pk, to_ms(START), to_ms(NOON)) for machine in machines]

    found = {(one.machine, one.info): one for one in read(spans, of(USE), width_ms)}

    points = round((NOON - START).total_seconds() * 1000 / width_ms)
    for machine in machines:
        shown = window(machine, [Selector(USE)], START, NOON, points=points)
        assert shown.step_s * 1000 == width_ms
        for series in shown.series:
            one = found.pop((machine.pk, series.info))
            assert one.time_ms.tolist() == series.time_ms.tolist()
            for mine, theirs in zip(
                one[3:], (series.min, series.avg, series.max), strict=True
            ):
                assert mine == pytest.approx(theirs, rel=1e-5, abs=1e-6)
    assert not found


@pytest.mark.parametrize("rolled", [False, True], ids=["samples", "tiers"])
def test_only_the_spans_are_read(*, rolled: bool) -> None:
    machine = store("web-1", "/")
    if rolled:
        roll_up(NOON)
    minutes = [to_ms(START + timedelta(minutes=n)) for n in (10, 12, 200, 201)]
    spans = [Span(machine.pk, *minutes[:2]), Span(machine.pk, *minutes[2:])]

    [one] = read(spans, of(USE), MINUTE)

    assert one.time_ms.tolist() == [minutes[0], minutes[0] + MINUTE, minutes[2]]


def test_more_series_than_one_query_takes_come_all() -> None:
    mounts = [f"/{number}" for number in range(2 * MAX_PLACES + 3)]
    machine = store("web-1", *mounts)
    roll_up(NOON)

    found = read([Span(machine.pk, to_ms(START), to_ms(NOON))], of(USE), HOUR)

    assert {dict(one.info.attributes).popitem()[1] for one in found} == set(mounts)


def test_what_no_layout_has_is_not_there() -> None:
    machine = store("web-1", "/")
    roll_up(NOON)
    span = Span(machine.pk, to_ms(START), to_ms(NOON))

    assert read([span], of("system.no.such"), HOUR) == []
    assert read([], of(USE), HOUR) == []
