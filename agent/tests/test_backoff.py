from __future__ import annotations

from sysmonstm_agent.backoff import BASE_S, CAP_S, STABLE_S, Backoff


def test_the_ceiling_doubles_up_to_the_cap() -> None:
    backoff = Backoff(chance=lambda: 1.0)

    pauses = [backoff.after_failure(lasted_s=0) for _ in range(9)]

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert pauses[-1] == CAP_S


def test_the_jitter_is_full() -> None:
    backoff = Backoff(chance=lambda: 0.0)

    assert [backoff.after_failure(lasted_s=0) for _ in range(3)] == [0, 0, 0]


def test_only_a_stable_connection_begins_again_from_the_base() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    for _ in range(5):
        backoff.after_failure(lasted_s=0)

    assert backoff.after_failure(lasted_s=STABLE_S - 1) == 32
    assert backoff.after_failure(lasted_s=STABLE_S) == BASE_S


def test_when_told_the_pause_is_about_that_long() -> None:
    assert Backoff(chance=lambda: 0.0).when_told(10) == 5
    assert Backoff(chance=lambda: 1.0).when_told(10) == 15
    assert Backoff(chance=lambda: 1.0).when_told(3_600) == CAP_S


def test_a_hub_that_says_at_once_each_time_is_not_hammered() -> None:
    assert Backoff(chance=lambda: 0.0).when_told(0) == 0.5
