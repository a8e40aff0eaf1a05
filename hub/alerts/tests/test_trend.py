from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import forecasts
from hub.alerts.trend import Outlook, Series, slope_of

Floats = NDArray[np.float64]
DAY_S = 86_400.0
HOURS = 7 * 24


def ticks(count: int) -> Floats:
    return np.arange(count, dtype=np.float64) * 300


def seen(minutes: Floats) -> Series:
    """Return a week, given by the five minutes: the last six hours of it finely."""
    times = ticks(len(minutes))
    hours: Floats = minutes.reshape(-1, 12).mean(axis=1, dtype=np.float64)
    return Series(times[-72:], minutes[-72:], times[::12], hours)


def noise(size: float = 0.001) -> Floats:
    return np.random.default_rng(1).normal(0, size, HOURS * 12)


WEEK = np.arange(HOURS * 12) / 12.0  # in hours
LEFT = HOURS - WEEK


def soon(values: Floats, limit: float = 1.0) -> float | None:
    return Outlook(seen(values)).seconds_until(limit, DAY_S)


def test_a_steady_fill_is_foretold_to_the_hour() -> None:
    found = soon(0.8 - 0.02 * LEFT / 2 + noise())

    assert found is not None
    assert found / 3600 == pytest.approx(20, abs=1)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(0.95 + noise(0.005), id="nearly full, but still"),
        pytest.param(0.5 - 0.01 * LEFT + noise(), id="beyond the horizon"),
        pytest.param(0.9 - 0.01 * (HOURS - LEFT) / 2, id="falling"),
        pytest.param(
            0.4 + 0.5 * np.clip(4 - LEFT, 0, 1) + noise(), id="a burst of an hour"
        ),
        pytest.param(0.5 + 0.4 * ((WEEK + 20) % 24) / 24 + noise(), id="rotated logs"),
        pytest.param(0.6 + 0.3 * np.sin(2 * np.pi * (WEEK + 2) / 24), id="days"),
    ],
)
def test_what_does_not_fill_up_is_not_foretold(values: Floats) -> None:
    assert soon(values) is None


def test_a_leak_of_hours_is_seen_though_the_days_before_were_flat() -> None:
    found = soon(0.6 + 0.03 * np.clip(7 - LEFT, 0, 7) + noise())

    assert found is not None
    assert found / 3600 == pytest.approx(0.19 / 0.03, abs=1)


def test_logs_that_are_not_rotated_any_more_are_seen() -> None:
    grown = (WEEK % 24) / 24
    grown[WEEK >= 5.5 * 24] = (WEEK[WEEK >= 5.5 * 24] - 5 * 24) / 24

    assert soon(0.3 + 0.3 * grown + noise()) is not None


def test_what_is_full_is_full_now() -> None:
    assert soon(1.0 + noise(0)) == 0.0


def test_room_that_shrinks_is_foretold_downward() -> None:
    free = 100.0 + 5 * LEFT + noise()

    found = Outlook(seen(free), upward=False).seconds_until(0, DAY_S)

    assert found is not None
    assert found / 3600 == pytest.approx(20, abs=1)


def test_an_hour_of_history_says_nothing() -> None:
    times = ticks(12)
    values = np.linspace(0.5, 0.9, 12)

    series = Series(times, values, times, values)

    assert Outlook(series).seconds_until(1, DAY_S) is None


def test_one_wild_point_does_not_turn_the_slope() -> None:
    times = ticks(60)
    values: Floats = times * 1e-5
    values[30] = 100

    assert slope_of(times, values).likely == pytest.approx(1e-5)


@pytest.mark.parametrize(
    "shape",
    [
        forecasts.burst,
        forecasts.nightly,
        forecasts.step,
        forecasts.reset,
        forecasts.grown_disk,
        forecasts.rhythm,
        forecasts.slow,
    ],
)
def test_no_false_alarm_on_what_only_looks_like_a_fill(
    shape: Callable[[forecasts.Chance], forecasts.Made],
) -> None:
    found = forecasts.score(shape, runs=10)

    assert (found.false_alarms, found.hits) == (0, 0)
    assert found.quiet > 100


@pytest.mark.parametrize(
    ("shape", "at_least"),
    [
        (forecasts.steady, 1.0),
        (forecasts.failed_rotation, 0.9),
        (forecasts.leak, 0.6),
        (forecasts.slow_leak, 0.5),
    ],
)
def test_what_fills_is_foretold(
    shape: Callable[[forecasts.Chance], forecasts.Made], at_least: float
) -> None:
    found = forecasts.score(shape, runs=20)

    assert found.false_alarms == 0
    assert found.recall is not None
    assert found.recall >= at_least
