from __future__ import annotations

from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alerts.conditions import judge
from hub.alerts.spec import NoData, Operator, Severity
from hub.alerts.state import (
    FLAPPING_MS,
    REST,
    Happening,
    Phase,
    State,
    ended,
    is_at_rest,
    step,
)
from hub.alerts.tests.scenes import GAP_MS, run, spec

OPENED, RESOLVED = Happening.OPENED, Happening.RESOLVED
ESCALATED, EASED = Happening.ESCALATED, Happening.EASED


@pytest.mark.parametrize(
    ("said", "values", "told"),
    [
        pytest.param(
            {}, [0.5, 0.8, 0.5], [], id="exactly at the threshold is not above"
        ),
        pytest.param({}, [0.5, 0.9], [(5, OPENED)], id="without for: at once"),
        pytest.param({}, [0.9, 0.9, 0.9], [(0, OPENED)], id="once, not per sample"),
        pytest.param({}, [0.9, 0.5], [(0, OPENED), (5, RESOLVED)], id="and resolved"),
        pytest.param({"for_s": 10}, [0.9, 0.9], [], id="not yet long enough"),
        pytest.param({"for_s": 10}, [0.9] * 3, [(10, OPENED)], id="long enough"),
        pytest.param(
            {"for_s": 10}, [0.9, 0.9, 0.5, 0.9, 0.9], [], id="a dip begins anew"
        ),
        pytest.param(
            {"clear": 0.7},
            [0.9, 0.75, 0.75, 0.7],
            [(0, OPENED), (15, RESOLVED)],
            id="between the thresholds nothing changes",
        ),
        pytest.param(
            {"clear_for_s": 10},
            [0.9, 0.5, 0.5, 0.9, 0.5, 0.5, 0.5],
            [(0, OPENED), (30, RESOLVED)],
            id="clear for long enough, without a break",
        ),
        pytest.param(
            {"critical": 0.95},
            [0.9, 0.99, 0.9, 0.5],
            [(0, OPENED), (5, ESCALATED), (10, EASED), (15, RESOLVED)],
            id="two levels",
        ),
        pytest.param(
            {"critical": 0.95, "for_s": 10},
            [0.9, 0.99, 0.99, 0.99],
            [(10, OPENED), (15, ESCALATED)],
            id="critical must last, too",
        ),
        pytest.param(
            {"critical": 0.95, "clear_for_s": 10},
            [0.99, 0.9, 0.99, 0.9, 0.9, 0.9],
            [(0, OPENED), (25, EASED)],
            id="easing must last",
        ),
        pytest.param(
            {"warning": None, "critical": 0.95},
            [0.9, 0.99, 0.5],
            [(5, OPENED), (10, RESOLVED)],
            id="only critical",
        ),
        pytest.param(
            {"operator": Operator.LT, "warning": 0.2, "clear": 0.3},
            [0.1, 0.25, 0.3],
            [(0, OPENED), (10, RESOLVED)],
            id="downward",
        ),
        pytest.param(
            {"operator": Operator.NE, "warning": 1},
            [1, 0, 1],
            [(5, OPENED), (10, RESOLVED)],
            id="anything but",
        ),
        pytest.param({}, [0.9, nan, nan], [(0, OPENED)], id="no data changes nothing"),
        pytest.param(
            {"no_data": NoData.RESOLVE},
            [0.9, nan],
            [(0, OPENED), (5, RESOLVED)],
            id="no data resolves if asked",
        ),
        pytest.param(
            {"no_data": NoData.FIRE, "for_s": 5},
            [0.5, nan, nan],
            [(10, OPENED)],
            id="no data fires if asked",
        ),
    ],
)
def test_the_story_of_a_series(
    said: dict[str, object], values: list[float], told: list[tuple[float, Happening]]
) -> None:
    assert run(spec(**said), values)[1] == told


def test_it_opens_with_the_severity_that_lasted() -> None:
    rule = spec(critical=0.95, for_s=10)

    mild, _ = run(rule, [0.9, 0.99, 0.99])
    grave, _ = run(rule, [0.99, 0.99, 0.99])

    assert (mild.severity, grave.severity) == (Severity.WARNING, Severity.CRITICAL)


def test_after_a_gap_what_must_last_begins_anew() -> None:
    rule = spec(for_s=60)

    early, told = run(rule, [0.9, 0.9])
    late, more = run(rule, [0.9], state=early, start_s=2000)

    assert (told, more) == ([], [])
    assert late.breach_since_ms == 2_000_000


def test_a_gap_does_not_end_an_alert() -> None:
    rule = spec(clear_for_s=60)

    firing, _ = run(rule, [0.9, 0.5])
    still, told = run(rule, [0.5], state=firing, start_s=2000)

    assert (still.phase, told) == (Phase.FIRING, [])


def test_what_comes_late_or_twice_changes_nothing() -> None:
    rule = spec()
    firing, _ = run(rule, [0.9, 0.9])

    for at_ms in (0, 1_000_000, 1_005_000):
        again = step(rule, firing, judge(rule, 0.1), at_ms, gap_ms=GAP_MS)
        assert again == (firing, None)


def test_flapping_becomes_a_handful_of_alerts_and_then_one_long_one() -> None:
    rule = spec(clear_for_s=0)
    hour = [0.9, 0.9, 0.5, 0.5] * 180

    state, told = run(rule, hour)

    opened = [at for at, happening in told if happening is OPENED]
    assert len(opened) == 2
    assert state.phase is Phase.FIRING


def test_slow_flapping_is_damped_by_and_by() -> None:
    rule = spec(clear_for_s=60)
    hours = ([0.9] * 24 + [0.5] * 24) * 60

    _, told = run(rule, hours)

    opened = [at for at, happening in told if happening is OPENED]
    assert len(opened) == 2


def test_who_was_quiet_for_an_hour_is_believed_again() -> None:
    rule = spec()
    calm, _ = run(rule, [0.9, 0.5])
    at = 1_005_000 + FLAPPING_MS + 1

    opened, happening = step(rule, calm, judge(rule, 0.9), at, gap_ms=GAP_MS)

    assert (happening, opened.flaps) == (OPENED, 0)
    assert is_at_rest(calm, at)
    assert not is_at_rest(calm, at - 1)


def test_an_alert_that_ends_for_another_reason_is_over() -> None:
    firing, _ = run(spec(), [0.9])

    assert ended(firing, 1_001_000).phase is Phase.OK


# -- whatever comes

levels = st.sampled_from([0.1, 0.5, 0.75, 0.85, 0.99, nan])
ticks = st.lists(st.tuples(st.integers(1, 80), levels), max_size=60)
rules = st.builds(
    spec,
    critical=st.sampled_from([None, 0.95]),
    for_s=st.sampled_from([0, 5, 30]),
    clear=st.sampled_from([None, 0.7]),
    clear_for_s=st.sampled_from([0, 20]),
    no_data=st.sampled_from(list(NoData)),
)


def happenings(
    rule: object, moments: list[tuple[int, float]], state: State = REST
) -> tuple[State, list[tuple[int, Happening]]]:
    told = []
    for at_s, value in moments:
        state, happening = step(
            rule,  # type: ignore[arg-type]
            state,
            judge(rule, value),  # type: ignore[arg-type]
            at_s * 1000,
            gap_ms=GAP_MS,
        )
        if happening:
            told.append((at_s, happening))
    return state, told


def moments_of(steps: list[tuple[int, float]]) -> list[tuple[int, float]]:
    at, found = 1000, []
    for wait, value in steps:
        at += wait
        found.append((at, value))
    return found


@given(rules, ticks)
def test_never_two_open_alerts_and_every_opening_closes_or_is_open(
    rule: object, steps: list[tuple[int, float]]
) -> None:
    state, told = happenings(rule, moments_of(steps))

    ends = [happening for _, happening in told if happening in (OPENED, RESOLVED)]
    assert ends == [OPENED, RESOLVED] * (len(ends) // 2) + [OPENED] * (len(ends) % 2)
    assert (state.phase is Phase.FIRING) is bool(len(ends) % 2)
    assert (state.severity is not Severity.NONE) is (state.phase is Phase.FIRING)


@given(rules, ticks, st.integers(0, 60))
def test_a_restart_anywhere_changes_nothing(
    rule: object, steps: list[tuple[int, float]], cut: int
) -> None:
    moments = moments_of(steps)

    whole = happenings(rule, moments)
    before, told = happenings(rule, moments[:cut])
    # The position may be behind: some readings come twice.
    after, more = happenings(rule, moments[max(0, cut - 3) :], before)

    assert (after, told + more) == whole


@given(rules, ticks, st.lists(st.tuples(st.integers(0, 60), levels), max_size=20))
def test_late_readings_change_nothing(
    rule: object, steps: list[tuple[int, float]], late: list[tuple[int, float]]
) -> None:
    moments = moments_of(steps)
    mixed = list(moments)
    for place, value in late:
        if 0 < place <= len(mixed):
            newest = max(at for at, _ in mixed[:place])
            mixed.insert(place, (newest - place % 3, value))

    # Only readings without data leave the clock of a state where it was.
    if not any(value != value for _, value in moments):
        assert happenings(rule, mixed) == happenings(rule, moments)


@given(ticks)
def test_what_is_at_rest_says_what_a_new_state_says(
    steps: list[tuple[int, float]],
) -> None:
    rule, moments = spec(for_s=5), moments_of(steps)
    state, _ = happenings(rule, moments)
    later = (moments[-1][0] if moments else 1000) + 4000

    if is_at_rest(state, later * 1000):
        assert (
            happenings(rule, [(later, 0.9), (later + 5, 0.9)], state)[1]
            == (happenings(rule, [(later, 0.9), (later + 5, 0.9)])[1])
        )
