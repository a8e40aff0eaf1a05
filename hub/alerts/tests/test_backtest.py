from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.alerts.answer import sentence
from hub.alerts.backtest import BATCH, back_test
from hub.alerts.chart import HEIGHT, WIDTH, charts
from hub.alerts.conditions import aggregate, judge, judge_all, rolling
from hub.alerts.matchers import parse
from hub.alerts.replay import Course, replay, replay_readings
from hub.alerts.spec import Aggregation, NoData, Operator, Severity, Spec
from hub.alerts.tests.scenes import CPU, DISK, GAP_MS, disk, series, spec, vector
from hub.alerts.tests.world import NOON_MS
from hub.machines.models import Machine
from hub.storage import layouts, raw
from hub.storage.hot import set_hot
from hub.storage.hot_memory import MemoryHot
from hub.storage.sample import StoredSample

NOON = datetime.fromtimestamp(NOON_MS / 1000, UTC)
EPOCH = b"e" * 16


@pytest.fixture
def machine(db: None) -> Machine:
    set_hot(MemoryHot())
    return Machine.objects.create(machine_id="web-1", interval_s=60)


def store(machine: Machine, cpu: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    """Store one sample a minute until noon, with a full and an empty disk."""
    layout = layouts.learn([series(CPU), disk("/"), disk("/data")])
    count = len(cpu)
    raw.write(
        [
            raw.Incoming(
                StoredSample(
                    machine.pk,
                    layout.id,
                    number + 1,
                    at := NOON_MS - (count - number) * 60_000,
                    at,
                    vector(float(value), 0.97, 0.2),
                ),
                EPOCH,
            )
            for number, value in enumerate(cpu)
        ]
    )


def hours(count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.full(count * 60, 0.2)


def test_it_counts_how_often_a_rule_would_have_fired(machine: Machine) -> None:
    cpu = hours(20)
    for hour in (2, 7, 15):
        cpu[hour * 60 : hour * 60 + 20] = 0.95
    cpu[10 * 60 : 10 * 60 + 4] = 0.95
    store(machine, cpu)

    found = back_test(spec(for_s=300, clear_for_s=60), [machine], NOON)

    [tried] = found.fired
    starts = [(f.start_ms - NOON_MS) / 3_600_000 for f in tried.firings]
    assert starts == pytest.approx([-18 + 1 / 12, -13 + 1 / 12, -5 + 1 / 12], abs=0.03)
    assert (found.times, found.machines, found.looked_at) == (3, 1, 1)
    assert sentence(found) == (
        "In the last 7 days this rule would have fired 3 times on 1 machine."
    )


def test_what_would_be_firing_now_has_no_end(machine: Machine) -> None:
    cpu = hours(5)
    cpu[-30:] = 0.95
    store(machine, cpu)

    [tried] = back_test(spec(), [machine], NOON).fired

    assert [firing.end_ms for firing in tried.firings] == [None]


def test_a_rule_that_never_fired_shows_what_came_closest(machine: Machine) -> None:
    cpu = hours(5)
    cpu[100] = 0.7
    store(machine, cpu)

    found = back_test(spec(), [machine], NOON)

    assert sentence(found) == "In the last 7 days this rule would not have fired."
    [closest] = found.lines
    assert closest.high.max() == pytest.approx(0.7)


def test_matchers_choose_the_series(machine: Machine) -> None:
    store(machine, hours(2))

    rule = spec(metric=DISK, warning=0.9, matchers=parse("mountpoint=/data"))
    whole = spec(metric=DISK, warning=0.9)

    assert back_test(rule, [machine], NOON).times == 0
    assert back_test(whole, [machine], NOON).times == 1


def test_windows_and_divisors_are_tried_as_they_are_evaluated(machine: Machine) -> None:
    cpu = hours(5)
    cpu[60:90:2] = 0.95
    store(machine, cpu)

    averaged = spec(aggregation=Aggregation.AVG, window_s=600)
    divided = spec(warning=2.9, per=DISK)

    assert back_test(averaged, [machine], NOON).times == 0
    assert back_test(divided, [machine], NOON).times == 0


def test_a_fleet_that_is_too_large_for_the_time_is_said(machine: Machine) -> None:
    store(machine, hours(2))
    fleet = [Machine(pk=machine.pk + n, machine_id=f"m{n}") for n in range(3 * BATCH)]
    moments = iter([0.0, 0.1, 2.1, 5.0])

    found = back_test(spec(), fleet, NOON, clock=lambda: next(moments))

    assert (found.looked_at, found.covered) == (2 * BATCH, 3 * BATCH)
    assert "on the 50 of 75 tried," in sentence(found)


def test_the_chart_stays_within_its_picture_and_leaves_gaps(machine: Machine) -> None:
    cpu = hours(60)
    cpu[600:660] = 0.95
    cpu[1200:2400] = np.nan
    store(machine, cpu)
    rule = spec(critical=0.99)

    [picture] = charts(rule, "1", back_test(rule, [machine], NOON))

    assert len(picture.points) == 2
    pairs = [pair.split(",") for part in picture.points for pair in part.split()]
    assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT for x, y in pairs)
    assert [threshold.severity for threshold in picture.thresholds] == [
        "critical",
        "warning",
    ]
    [mark] = picture.marks
    # The picture begins with the machine's first sample, 60 hours ago.
    expected = WIDTH * (60 - 50) / 60
    assert mark.x == pytest.approx(expected, abs=1)
    assert mark.severity == "warning"
    assert picture.span == "2 d 12 h"
    assert [tick.text for tick in picture.ticks] == ["40 %", "60 %", "80 %"]
    # A number stands where its line is.
    assert [tick.share for tick in picture.ticks] == pytest.approx(
        [100 * tick.y / HEIGHT for tick in picture.ticks], abs=0.1
    )
    assert picture.end_ms == NOON_MS


# -- the same as what evaluates

SAID = (0.1, 0.7, 0.8, 0.85, 0.95, 0.99, float("nan"))
courses = st.lists(
    st.tuples(
        st.sampled_from(SAID), st.integers(1, 12), st.sampled_from([1, 5, 20, 40])
    ),
    max_size=30,
)


@given(
    courses,
    st.sampled_from(list(Operator)),
    st.sampled_from([(0.8, None), (None, 0.95), (0.8, 0.95)]),
    st.sampled_from([None, 0.75, 0.8]),
    st.sampled_from(list(NoData)),
    st.sampled_from([0, 10, 30]),
    st.sampled_from([0, 20]),
)
def test_a_replay_says_what_stepping_through_says(
    course: list[tuple[float, int, int]],
    operator: Operator,
    levels: tuple[float | None, float | None],
    clear: float | None,
    no_data: NoData,
    for_s: float,
    clear_for_s: float,
) -> None:
    """Of every kind of course: values that stay, flap, are missing, and gaps."""
    rule = spec(
        operator=operator,
        warning=levels[0],
        critical=levels[1],
        clear=clear,
        no_data=no_data,
        for_s=for_s,
        clear_for_s=clear_for_s,
    )
    steps = [(value, step_s) for value, n, step_s in course for _ in range(n)]
    says_the_same(rule, steps)


@settings(max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, 0.75]),
    st.sampled_from([0, 10, 30]),
    st.sampled_from([0, 20, 120]),
)
def test_a_replay_of_a_restless_series_says_what_stepping_through_says(
    seed: int, clear: float | None, for_s: float, clear_for_s: float
) -> None:
    """What is too short to matter is passed over: most of a long alert."""
    chance = np.random.default_rng(seed)
    rule = spec(critical=0.95, clear=clear, for_s=for_s, clear_for_s=clear_for_s)
    values, steps = chance.choice(SAID, 200), chance.choice([5, 5, 5, 5, 20, 40], 200)
    times = chance.choice([1, 1, 2, 9], 200)

    says_the_same(
        rule, list(zip(values.repeat(times), steps.repeat(times), strict=True))
    )


def says_the_same(rule: Spec, steps: Sequence[tuple[float, int]]) -> None:
    times = np.cumsum(np.array([0, *(s for _, s in steps)], np.int64))[1:] * 1000
    floats = np.array([value for value, _ in steps], np.float32)
    each = Course(rule, gap_ms=GAP_MS)
    judged = [
        (at_ms, judge(rule, value))
        for at_ms, value in zip(times.tolist(), floats.tolist(), strict=True)
    ]
    for at_ms, reading in judged:
        each.take(at_ms, reading)

    expected = each.end()
    assert replay(rule, times, floats, gap_ms=GAP_MS) == expected
    assert replay_readings(Course(rule, gap_ms=GAP_MS), judged) == expected


@given(
    st.lists(st.sampled_from(SAID[:-1]), max_size=20),
    st.sampled_from(list(Operator)),
    st.sampled_from([(0.8, None), (None, 0.95), (0.8, 0.95)]),
    st.sampled_from([None, 0.7]),
)
def test_judging_all_says_what_judging_each_says(
    values: list[float],
    operator: Operator,
    levels: tuple[float | None, float | None],
    clear: float | None,
) -> None:
    warning, critical = levels
    rule = spec(operator=operator, warning=warning, critical=critical, clear=clear)
    floats = np.array(values, np.float32)

    severity, is_clear = judge_all(rule, floats)

    each = [judge(rule, value) for value in floats.tolist()]
    assert severity.tolist() == [one.severity for one in each if one]
    assert is_clear.tolist() == [one.is_clear for one in each if one]


@given(
    st.sampled_from([one for one in Aggregation if one is not Aggregation.LAST]),
    st.lists(st.integers(1, 20), min_size=1, max_size=40),
    st.sampled_from([10, 60, 120]),
)
def test_rolling_says_what_a_window_says(
    aggregation: Aggregation, steps: list[int], window_s: float
) -> None:
    times = np.cumsum(np.array(steps, np.int64)) * 1000
    floats = np.sin(np.arange(len(steps))).astype(np.float32)

    expected = [
        aggregate(aggregation, window_s, times[:end], floats[:end, None])[0]
        for end in range(1, len(steps) + 1)
    ]

    found = rolling(aggregation, window_s, times, floats)
    assert found.tolist() == pytest.approx(expected, nan_ok=True, rel=1e-4, abs=1e-6)


def test_severity_is_the_gravest_that_was_reached() -> None:
    rule = spec(critical=0.95)
    times = np.arange(4, dtype=np.int64) * 5000 + 5000

    [firing] = replay(
        rule, times, np.array([0.9, 0.99, 0.9, 0.1], np.float32), gap_ms=GAP_MS
    )

    assert firing.severity is Severity.CRITICAL


def test_a_falling_value_is_tried_too(machine: Machine) -> None:
    store(machine, hours(2))

    rule = spec(operator=Operator.LT, warning=0.3, metric=DISK)

    assert back_test(rule, [machine], NOON).times == 1
