from __future__ import annotations

from hub.alerts.lateness import Pace, admit, limit_ms

LIMIT = limit_ms(5)


def judged(*samples: tuple[float, float], pace: Pace | None = None) -> list[bool]:
    """Judge samples of (taken, received), in seconds."""
    pace, found = pace or Pace(), []
    for taken_s, received_s in samples:
        pace, is_in_time = admit(
            pace, round(taken_s * 1000), round(received_s * 1000), limit=LIMIT
        )
        found.append(is_in_time)
    return found


def test_the_limit_is_three_intervals_and_half_a_minute_at_least() -> None:
    assert [limit_ms(1), limit_ms(5), limit_ms(60)] == [30_000, 30_000, 180_000]


def test_a_sample_that_comes_at_once_is_in_time() -> None:
    assert judged((100, 100.1), (105, 105.2), (110, 135)) == [True, True, True]


def test_a_backlog_is_late_until_it_has_caught_up() -> None:
    backlog = [(100 + 5 * n, 700 + n) for n in range(160)]

    found = judged((95, 95.1), *backlog)

    first = found.index(True, 1)
    assert found[1:first] == [False] * (first - 1)
    taken_s, received_s = backlog[first - 1]
    assert received_s - taken_s <= LIMIT / 1000 + 0.1


def test_a_backlog_after_a_restart_is_late_too() -> None:
    assert not any(judged(*[(100 + 5 * n, 3700 + n) for n in range(100)]))


def test_a_wrong_clock_is_believed_after_a_minute() -> None:
    found = judged(*[(5 * n, 3600 + 5 * n) for n in range(20)])

    assert found == [False] * 12 + [True] * 8


def test_a_clock_that_was_set_is_believed_after_a_minute() -> None:
    was_ahead = Pace(-3_600_000)

    found = judged(*[(5 * n, 5 * n) for n in range(1, 15)], pace=was_ahead)

    assert found == [False] * 12 + [True] * 2
