"""Back-tests of what no single value says: forecasts, and machines that are silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.alerts import forecasts, past_forecast
from hub.alerts.answer import now_sentence, sentence
from hub.alerts.backtest import BackTest, back_test
from hub.alerts.models import Blindness
from hub.alerts.preview import preview
from hub.alerts.replay import Course
from hub.alerts.silence import intervals, intervals_of
from hub.alerts.spec import Kind, NoData, Operator
from hub.alerts.state import Phase
from hub.alerts.tests.scenes import DISK, disk, spec, vector
from hub.alerts.tests.world import NOON_MS
from hub.alerts.trend import Series
from hub.machines.models import Machine
from hub.storage import layouts, raw
from hub.storage.backfill import Stretch, note
from hub.storage.columns import Column
from hub.storage.hot import set_hot
from hub.storage.hot_memory import MemoryHot
from hub.storage.models import HubAway
from hub.storage.sample import StoredSample

NOON = datetime.fromtimestamp(NOON_MS / 1000, UTC)
HOUR = 12
DAY = 24 * HOUR

Floats = NDArray[np.float64]


@pytest.fixture
def machine(db: None) -> Machine:
    set_hot(MemoryHot())
    return Machine.objects.create(
        machine_id="web-1", interval_s=300, first_seen=NOON - timedelta(days=30)
    )


def store(machine: Machine, values: Floats, *, every_s: int = 300) -> None:
    """Store samples of the use of one disk up to noon; NaN = no sample."""
    layout = layouts.learn([disk("/")])
    count = len(values)
    raw.write(
        [
            raw.Incoming(
                StoredSample(
                    machine.pk,
                    layout.id,
                    (at := NOON_MS - (count - number) * every_s * 1000) // 1000,
                    at,
                    at,
                    vector(float(value)),
                ),
                b"e" * 16,
            )
            for number, value in enumerate(values)
            if value == value
        ]
    )


def starts(found: BackTest) -> list[float]:
    """Return when the rule would have fired, in hours before noon."""
    [tried] = found.fired
    return [(NOON_MS - f.start_ms) / 3_600_000 for f in tried.firings]


# -- forecasts

FULL = spec(
    kind=Kind.FORECAST,
    metric=DISK,
    operator=Operator.GTE,
    warning=1.0,
    for_s=1800,
    horizon_s=86_400,
)


def test_a_disk_that_filled_would_have_been_foretold(machine: Machine) -> None:
    # Half full four days ago, and full in half a day: within a day since yesterday.
    use = np.full(9 * DAY, 0.5)
    use[-4 * DAY :] = np.linspace(0.5, 0.944, 4 * DAY)
    store(machine, use)

    found = back_test(FULL, [machine], NOON)

    [first] = starts(found)
    assert first == pytest.approx(12, abs=4)
    assert found.fired[0].firings[0].end_ms is None


def test_a_nightly_backup_would_not_have_been_foretold(machine: Machine) -> None:
    use = np.full(10 * DAY, 0.6)
    for day in range(10):
        night = slice(day * DAY + 2 * HOUR, day * DAY + 4 * HOUR)
        use[night] = np.linspace(0.6, 0.9, 2 * HOUR)
    store(machine, use)

    found = back_test(FULL, [machine], NOON)

    assert found.series == 1
    assert sentence(found) == "In the last 7 days this rule would not have fired."
    assert found.lines[0].high.max() == pytest.approx(0.9, abs=0.02)


def test_the_past_is_judged_without_what_came_after(machine: Machine) -> None:
    """A disk that was emptied in time had been foretold all the same."""
    use = np.full(10 * DAY, 0.4)
    use[6 * DAY : 9 * DAY] = np.linspace(0.4, 0.95, 3 * DAY)
    store(machine, use)

    [tried] = back_test(FULL, [machine], NOON).fired

    [firing] = tried.firings
    assert firing.end_ms is not None
    emptied_ms = NOON_MS - 24 * 3_600_000
    assert firing.start_ms < emptied_ms < firing.end_ms


def test_every_series_is_tried_by_itself(machine: Machine) -> None:
    use = np.linspace(0.1, 0.96, 9 * DAY)
    store(machine, use)

    elsewhere = spec(
        kind=Kind.FORECAST,
        metric="system.memory.utilization",
        operator=Operator.GTE,
        warning=1.0,
        horizon_s=86_400,
    )

    assert back_test(FULL, [machine], NOON).times == 1
    assert sentence(back_test(elsewhere, [machine], NOON)).startswith("No machine")


# -- silence

DOWN = spec(kind=Kind.DOWN, metric="", operator=Operator.GTE, critical=12, warning=None)


@pytest.fixture
def ticking(db: None) -> Machine:
    set_hot(MemoryHot())
    began = NOON - timedelta(hours=6, minutes=1)
    return Machine.objects.create(machine_id="web-1", interval_s=10, first_seen=began)


def six_hours(*silent_min: tuple[int, int]) -> Floats:
    """Return six hours of ticks until noon, without some stretches of minutes."""
    values = np.full(6 * 360, 0.5)
    for first, last in silent_min:
        values[first * 6 : last * 6] = np.nan
    return values


def test_each_silence_that_lasts_would_have_been_told(ticking: Machine) -> None:
    store(ticking, six_hours((60, 61), (120, 130), (300, 305)), every_s=10)

    found = back_test(DOWN, [ticking], NOON)

    assert starts(found) == pytest.approx([4 - 2 / 60, 1 - 2 / 60], abs=0.02)
    [tried] = found.lines
    assert tried.high.max() == pytest.approx(60, abs=1)


def test_slower_ticks_of_another_time_are_no_silence(ticking: Machine) -> None:
    store(ticking, six_hours()[::6], every_s=60)

    found = back_test(DOWN, [ticking], NOON)

    assert found.times == 0


def test_what_came_late_was_silence_then(ticking: Machine) -> None:
    store(ticking, six_hours(), every_s=10)
    since, until = NOON - timedelta(hours=3), NOON - timedelta(hours=2)
    note([Stretch(ticking.pk, since, until, until)])

    [start] = starts(back_test(DOWN, [ticking], NOON))

    assert start == pytest.approx(3 - 2 / 60, abs=0.02)


@pytest.mark.parametrize("how", [HubAway, Blindness])
def test_what_the_hub_could_not_hear_is_no_silence(
    ticking: Machine, how: type[HubAway] | type[Blindness]
) -> None:
    store(ticking, six_hours((120, 240)), every_s=10)
    # It came back a minute after the hub did.
    how.objects.create(
        start=NOON - timedelta(hours=4), end=NOON - timedelta(hours=2, minutes=1)
    )

    found = back_test(DOWN, [ticking], NOON)

    assert found.times == 0
    assert found.series == 1


def test_the_last_planned_stop_is_no_outage(ticking: Machine) -> None:
    store(ticking, six_hours((300, 360)), every_s=10)
    assert back_test(DOWN, [ticking], NOON).times == 1

    ticking.left_at = NOON - timedelta(hours=1)

    assert back_test(DOWN, [ticking], NOON).times == 0


def test_a_machine_that_never_spoke_was_never_down(ticking: Machine) -> None:
    assert back_test(DOWN, [ticking], NOON).times == 0


def test_the_present_silence_is_shown(ticking: Machine) -> None:
    store(ticking, six_hours((355, 360)), every_s=10)
    gone = Machine.objects.create(machine_id="web-2", interval_s=10, left_at=NOON)
    store(gone, six_hours((355, 360)), every_s=10)

    seen = preview(DOWN, [ticking, gone], NOON_MS)

    assert [(one.machine, round(one.value)) for one in seen.worst] == [(ticking, 31)]
    assert now_sentence(DOWN, seen).startswith("Now: 1 of 1 machine silent")
    heard = preview(DOWN, [ticking], NOON_MS - 300_000)
    assert now_sentence(DOWN, heard) == "Now: every machine is heard."


# -- what is passed over agrees with what judges


def column(times_ms: Floats, values: Floats) -> Column:
    floats = values.astype(np.float32)
    return Column(1, disk("/"), times_ms.astype(np.int64), floats, floats, floats)


SHAPES = ("steady", "saw", "late", "noise", "flat", "falls", "by day")


def shape(name: str, days: Floats, size: float) -> Floats:
    shapes: dict[str, Floats] = {
        "steady": size * days / days[-1],
        "saw": size * (days % 0.7),
        "late": size * np.maximum(0, days - days[-1] + 0.8),
        "noise": size * np.random.default_rng(1).random(len(days)),
        "flat": np.zeros_like(days),
        "falls": -size * days / days[-1],
        "by day": 4 * size * np.cumsum(days % 1 < 0.85) / len(days),
    }
    return shapes[name]


def known_at(moment: int, fine: Column, hours: Column) -> Series:
    """Return six hours and seven days of what was whole at a moment."""
    parts: list[Floats] = []
    for one, span_h, width_ms in ((fine, 6, 300_000), (hours, 168, 3_600_000)):
        whole = one.time_ms <= moment - width_ms
        whole &= one.time_ms >= moment - span_h * 3_600_000
        parts += [one.time_ms[whole] / 1000, one.avg[whole].astype(np.float64)]
    return Series(*parts)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SHAPES),
    st.sampled_from(SHAPES),
    st.floats(0.01, 0.9),
    st.floats(0.3, 0.9),
    st.sampled_from([0.0, 0.02]),
    st.sampled_from([0, 7, 40]),
    st.sampled_from([(Operator.GTE, 1.0, 0.9), (Operator.LTE, 0.0, 0.1)]),
)
@example("by day", "flat", 0.35, 0.3, 0.0, 0, (Operator.GTE, 1.0, 0.9))
def test_no_moment_is_passed_over_at_which_something_was_foretold(
    one: str,
    other: str,
    size: float,
    base: float,
    noise: float,
    missing: int,
    limits: tuple[Operator, float, float],
) -> None:
    operator, critical, warning = limits
    rule = spec(
        kind=Kind.FORECAST, metric=DISK, operator=operator,
        warning=warning, critical=critical, horizon_s=86_400,
    )  # fmt: skip
    at_ms: Floats = np.arange(-9 * DAY, 0, dtype=np.float64) * 300_000 + NOON_MS
    days = (at_ms - at_ms[0]) / 86_400_000
    chance = np.random.default_rng(missing)
    use = base + (shape(one, days, size) + shape(other, days, size / 3)) / 2
    use += noise * chance.random(len(use))
    there = np.ones(len(use), bool)
    if missing:
        there[chance.integers(0, len(use), missing * 12)] = False
        there[5 * DAY : 5 * DAY + missing * 6] = False
    fine = column(at_ms[there], use[there])
    hours_ms, first = np.unique(at_ms[there] // 3_600_000, return_index=True)
    low, high = (f.reduceat(use[there], first) for f in (np.minimum, np.maximum))
    counts = np.diff(first, append=there.sum())
    avg: Floats = np.add.reduceat(use[there], first).astype(np.float64) / counts
    hours = column((hours_ms * 3_600_000).astype(np.float64), avg)._replace(
        min=low.astype(np.float32), max=high.astype(np.float32)
    )
    moments = np.arange(NOON_MS - 86_400_000, NOON_MS, past_forecast.STEP_MS)

    found = past_forecast.look(rule, hours, moments)
    quick = past_forecast.readings(rule, found, fine, moments)
    for (when, reading), moment in zip(quick, moments.tolist(), strict=True):
        expected = forecasts.judge(rule, known_at(moment, fine, hours))
        assert (when, reading.severity) == (moment, expected.severity)
        # What is neither foretold nor clear keeps an alert: it is not passed over.
        assert reading.is_clear == expected.is_clear

    # Only where an alert is open it is asked whether it may end.
    course = Course(rule, gap_ms=past_forecast.GAP_MS)
    course.state = course.state._replace(phase=Phase.FIRING)
    every = list(past_forecast.readings(rule, found, fine, moments))
    asked = list(past_forecast.readings(rule, found, fine, moments, course))
    assert [r.is_clear for _, r in asked] == [r.is_clear for _, r in every]
    assert [r.severity for _, r in asked] == [r.severity for _, r in every]


@given(
    st.integers(0, 400_000) | st.just(200_000),
    st.lists(st.integers(0, 400_000), min_size=1, max_size=8),
    st.sampled_from([1.0, 5.0, 60.0]),
)
def test_many_silences_are_as_each_by_itself(
    heard: int, moments: list[int], interval_s: float
) -> None:
    at_ms = np.array(moments, np.int64)

    found = intervals_of(
        seen_ms=200_000,
        hears_since_ms=np.full(len(moments), heard),
        now_ms=at_ms,
        interval_s=interval_s,
    )

    expected = [
        intervals(
            seen_ms=200_000, hears_since_ms=heard, now_ms=now, interval_s=interval_s
        )
        for now in moments
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)


def test_a_rule_that_counts_silence_would_have_fired_for_it(ticking: Machine) -> None:
    store(ticking, six_hours((60, 61), (120, 140), (300, 302)), every_s=10)
    rule = spec(metric=DISK, warning=0.9, no_data=NoData.FIRE, for_s=300)
    ignored = spec(metric=DISK, warning=0.9, for_s=300)

    assert starts(back_test(rule, [ticking], NOON)) == pytest.approx(
        [4 - 5.5 / 60], abs=0.02
    )
    assert back_test(ignored, [ticking], NOON).times == 0
