from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alerts.quiet import Hours, Repeated, Span, days_of

NIGHT = Hours(time(22), time(7), "Europe/Berlin")
WEEKEND = Hours(time(0), time(0), "UTC", frozenset({5, 6}))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        # Berlin is an hour ahead in winter, two in summer.
        ("2026-01-10 20:59:59", None),
        ("2026-01-10 21:00:00", "2026-01-11 06:00:00"),
        ("2026-01-11 05:59:59", "2026-01-11 06:00:00"),
        ("2026-01-11 06:00:00", None),
        ("2026-07-10 20:00:00", "2026-07-11 05:00:00"),
        ("2026-07-10 19:59:59", None),
        # The clocks go forward on 29 March, back on 25 October.
        ("2026-03-28 21:30:00", "2026-03-29 05:00:00"),
        ("2026-10-24 20:30:00", "2026-10-25 06:00:00"),
    ],
)
def test_a_night_is_quiet_by_the_clock_of_its_place(
    moment: str, until: str | None
) -> None:
    assert NIGHT.until(at(moment)) == (None if until is None else at(until))


def test_quiet_days_that_meet_end_together() -> None:
    # 2026-11-21 is a Saturday.
    assert WEEKEND.until(at("2026-11-21 10:00:00")) == at("2026-11-23 00:00:00")
    assert WEEKEND.until(at("2026-11-20 23:59:59")) is None
    assert WEEKEND.until(at("2026-11-23 00:00:00")) is None


def test_a_night_that_began_on_a_chosen_day_lasts_until_morning() -> None:
    friday = Hours(time(22), time(7), "UTC", frozenset({4}))

    assert friday.covers(at("2026-11-21 06:00:00"))
    assert not friday.covers(at("2026-11-20 06:00:00"))
    assert not friday.covers(at("2026-11-21 23:00:00"))


def test_a_span_that_comes_once_is_over_afterwards() -> None:
    span = Span(at("2026-01-01 00:00:00"), at("2026-01-01 02:00:00"))

    assert span.until(at("2026-01-01 01:00:00")) == at("2026-01-01 02:00:00")
    assert span.until(at("2026-01-01 02:00:00")) is None
    assert span.until(at("2025-12-31 23:59:59")) is None


def test_a_window_of_days_covers_what_follows_its_start() -> None:
    # Saturdays at 02:00, 30 hours long.
    window = Repeated(time(2), timedelta(hours=30), "UTC", frozenset({5}))

    assert window.until(at("2026-11-21 02:00:00")) == at("2026-11-22 08:00:00")
    assert window.until(at("2026-11-22 07:59:59")) == at("2026-11-22 08:00:00")
    assert window.until(at("2026-11-22 08:00:00")) is None
    assert window.until(at("2026-11-21 01:59:59")) is None


def test_no_day_chosen_is_every_day() -> None:
    assert days_of([]) == frozenset(range(7))
    assert days_of([2]) == frozenset({2})


MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)).map(
    lambda moment: moment.replace(tzinfo=UTC, microsecond=0)
)
CLOCKS = st.times().map(lambda clock: clock.replace(second=0, microsecond=0))
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"]
)
DAYS = st.frozensets(st.integers(0, 6), min_size=1)


@given(MOMENTS, CLOCKS, CLOCKS, ZONES, DAYS)
def test_quiet_hours_always_end_and_only_later(
    moment: datetime, start: time, end: time, zone: str, days: frozenset[int]
) -> None:
    hours = Hours(start, end, zone, days)

    until = hours.until(moment)

    assert hours.covers(moment) is (until is not None)
    if until is not None:
        assert moment < until <= moment + timedelta(days=8)
        # All of it is quiet, up to its last second.
        assert hours.covers(until - timedelta(seconds=1))
        if len(days) < 7:
            assert not hours.covers(until)
