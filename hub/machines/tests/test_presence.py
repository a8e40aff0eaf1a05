from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hub.machines.presence import presence

NOW_MS = 1_772_366_400_000


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [(0, "online"), (15, "online"), (15.1, "stale"), (60, "stale"), (60.1, "offline")],
)
def test_a_machine_fades_as_it_is_silent(age_s: float, expected: str) -> None:
    seen_ms = NOW_MS - round(age_s * 1000)

    assert presence(seen_ms=seen_ms, now_ms=NOW_MS, interval_s=5) == expected


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [(90, "online"), (91, "stale"), (360, "stale"), (361, "offline")],
)
def test_a_slow_machine_is_given_more_time(age_s: int, expected: str) -> None:
    seen_ms = NOW_MS - age_s * 1000

    assert presence(seen_ms=seen_ms, now_ms=NOW_MS, interval_s=30) == expected


def test_a_fast_machine_does_not_flicker() -> None:
    seen_ms = NOW_MS - 14_000

    assert presence(seen_ms=seen_ms, now_ms=NOW_MS, interval_s=1) == "online"


def test_a_machine_that_never_sent_is_never() -> None:
    assert presence(seen_ms=None, now_ms=NOW_MS, interval_s=5) == "never"


def test_after_a_goodbye_it_is_stopped_until_it_speaks_again() -> None:
    left_at = datetime.fromtimestamp(NOW_MS / 1000, UTC)
    later_ms = NOW_MS + 3_600_000

    def at(seen_ms: int | None) -> str:
        return presence(seen_ms=seen_ms, now_ms=later_ms, interval_s=5, left_at=left_at)

    assert at(NOW_MS) == "stopped"
    assert at(None) == "stopped"
    assert at(NOW_MS + 1) == "offline"
    assert at(later_ms) == "online"


def test_a_clock_that_was_set_back_hides_nobody() -> None:
    assert presence(seen_ms=NOW_MS + 5000, now_ms=NOW_MS, interval_s=5) == "online"
