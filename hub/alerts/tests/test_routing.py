from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hub.alerts.matchers import Matcher
from hub.alerts.quiet import Hours
from hub.alerts.routing import (
    GIVE_UP_AFTER,
    MAX_RETRY,
    Facts,
    Mute,
    Way,
    held_until,
    muted,
    next_try,
    recipients,
)
from hub.alerts.spec import Severity

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
FACTS = Facts("db-1", frozenset({1}), 5, Severity.WARNING, (("mountpoint", "/"),), 9)

SETS = st.frozensets(st.integers(0, 4), max_size=3)
LEVELS = st.sampled_from([Severity.WARNING, Severity.CRITICAL])
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
HOURS = st.one_of(st.none(), st.builds(Hours, st.times(), st.times()))
WAYS = st.lists(
    st.builds(
        Way,
        route=st.integers(0, 9),
        contacts=SETS.map(lambda found: tuple(sorted(found))),
        level=LEVELS,
        tags=SETS,
        rules=SETS,
        hours=HOURS,
    ),
    max_size=6,
)


@given(WAYS, SETS, st.integers(0, 4), LEVELS, MOMENTS)
def test_who_hears_of_it_is_exactly_who_a_route_names(
    ways: list[Way],
    tags: frozenset[int],
    rule: int,
    severity: Severity,
    at: datetime,
) -> None:
    facts = Facts("m", tags, rule, severity)

    found = recipients(ways, facts, at)

    fitting = [way for way in ways if way.takes(facts, at)]
    assert set(found) == {one for way in fitting for one in way.contacts}
    for contact, way in found.items():
        assert way is next(one for one in fitting if contact in one.contacts)


@given(WAYS, SETS, st.integers(0, 4), MOMENTS)
def test_whoever_hears_a_warning_would_hear_it_as_critical(
    ways: list[Way], tags: frozenset[int], rule: int, at: datetime
) -> None:
    mild = recipients(ways, Facts("m", tags, rule, Severity.WARNING), at)
    grave = recipients(ways, Facts("m", tags, rule, Severity.CRITICAL), at)

    assert set(mild) <= set(grave)


@given(st.builds(Hours, st.times(), st.times()), MOMENTS)
def test_a_held_warning_goes_out_when_the_quiet_ends_and_not_before(
    quiet: Hours, at: datetime
) -> None:
    until = held_until(quiet, Severity.WARNING, at)

    assert held_until(quiet, Severity.CRITICAL, at) is None
    assert held_until(None, Severity.WARNING, at) is None
    if until is None:
        assert not quiet.covers(at)
    else:
        assert at < until <= at + timedelta(days=8)


@given(st.integers(1, 10_000), st.floats(0, 1), st.integers(0, 86_399))
def test_the_next_try_is_later_and_never_far(
    attempts: int, chance: float, age_s: int
) -> None:
    now = AT + timedelta(seconds=age_s)

    again = next_try(attempts, AT, now, chance=lambda: chance)

    assert again is not None
    assert timedelta(seconds=11) < again - now <= MAX_RETRY * 1.25


def test_after_a_day_there_is_no_next_try() -> None:
    assert next_try(3, AT, AT + GIVE_UP_AFTER) is None
    assert next_try(3, AT, AT + GIVE_UP_AFTER - timedelta(seconds=1)) is not None


def test_a_mute_takes_what_fits_all_that_it_says() -> None:
    by_name = Mute("a", machine="db-*")
    by_tag = Mute("b", tags=frozenset({1}))
    by_machine = Mute("c", machines=frozenset({9}), tags=frozenset({7}))
    by_rule = Mute("d", rule=5)
    by_series = Mute("e", matchers=(Matcher("mountpoint", "/"),))

    assert all(
        mute.takes(FACTS) for mute in (by_name, by_tag, by_machine, by_rule, by_series)
    )
    other = Facts("web-1", frozenset({2}), 6, Severity.WARNING, (("mountpoint", "/x"),))
    assert not any(
        mute.takes(other) for mute in (by_name, by_tag, by_machine, by_rule, by_series)
    )
    assert muted([by_name, by_rule], FACTS) == "a"
    assert muted([by_name, by_rule], other) is None


def test_a_route_by_night_is_closed_by_day() -> None:
    way = Way(route=1, contacts=(1,), hours=Hours(time(22), time(6)))

    assert recipients([way], FACTS, AT) == {}
    assert recipients([way], FACTS, AT + timedelta(hours=11)) == {1: way}
