from __future__ import annotations

import pytest

from hub.health.stages import (
    DEADLINE_S,
    Late,
    Seconds,
    judge,
    measured,
    percentile,
    sentence,
    slow_s,
)


def seconds(
    commit: float | None = 0.05, event: float | None = 0.06, frame: float | None = 0.1
) -> Seconds:
    return {"commit": commit, "event": event, "frame": frame}


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([3.0], 0.99, 3.0),
        ([4.0, 1.0, 3.0, 2.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.95, 95.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([1.0] * 19 + [9.0], 0.95, 1.0),
        ([1.0] * 18 + [9.0, 9.0], 0.95, 9.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(
    values: list[float], share: float, expected: float | None
) -> None:
    assert percentile(values, share) == expected


def test_a_quick_hub_is_on_time() -> None:
    assert judge(seconds(), None) is None
    assert sentence(None, None) == ""


@pytest.mark.parametrize(
    ("found", "slow", "late"),
    [
        (seconds(commit=None), 2.5, Late.STORING),
        (seconds(commit=None, event=None, frame=None), None, Late.STORING),
        (seconds(event=None), None, Late.SHOWING),
        (seconds(frame=None), 2.5, Late.SHOWING),
        (seconds(frame=2.5), 2.5, Late.SLOW),
        (seconds(frame=2.5), None, None),
    ],
)
def test_what_is_late_is_named_by_its_worst(
    found: Seconds, slow: float | None, late: Late | None
) -> None:
    assert judge(found, slow) is late


def test_each_lateness_is_said_in_a_sentence_of_its_own() -> None:
    said = {sentence(late, 2.51) for late in Late}

    assert len(said) == len(Late)
    assert all(one.startswith("The hub is late: ") for one in said)
    assert any("2.5 s" in one for one in said)


SLOW, QUICK = seconds(frame=9), seconds(frame=0.1)


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        # One slow round after a start is no news; nor is one among thirty.
        ([SLOW], None),
        ([QUICK, SLOW], None),
        ([QUICK, QUICK, SLOW], 9),
        ([QUICK] * 29 + [SLOW], None),
        ([QUICK] * 27 + [SLOW, QUICK, SLOW], 9),
        # As soon as the last few are quick it is over.
        ([SLOW] * 27 + [QUICK, QUICK], 9),
        ([SLOW] * 27 + [QUICK] * 3, None),
        # What did not come at all is told as late, not as slow.
        ([seconds(frame=None)] * 3, None),
        ([seconds(frame=None)] + [QUICK] * 3, None),
    ],
)
def test_slow_is_what_is_slow_now(
    rounds: list[Seconds], expected: float | None
) -> None:
    assert slow_s(rounds) == expected


def test_what_has_no_answer_is_kept_as_slow_as_can_be() -> None:
    assert measured(None) == DEADLINE_S
    assert measured(0.25) == 0.25
