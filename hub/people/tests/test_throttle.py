from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings

from hub.people import throttle
from hub.people.throttle import Memory, Shared, hit


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_so_many_tries_are_answered_and_no_more() -> None:
    answers = [hit("door", "ada", limit=3, window_s=1e9) for _ in range(5)]

    assert answers == [True, True, True, False, False]


def test_keys_and_kinds_do_not_count_for_each_other() -> None:
    assert hit("door", "ada", limit=1, window_s=1e9)

    assert hit("door", "grace", limit=1, window_s=1e9)
    assert hit("window", "ada", limit=1, window_s=1e9)
    assert not hit("door", "ada", limit=1, window_s=1e9)


def test_a_new_window_counts_anew(clock: Clock) -> None:
    memory = Memory(clock)
    assert [memory.count("a", 60) for _ in range(3)] == [1, 2, 3]

    clock.now_s += 60

    assert memory.count("a", 60) == 1


def test_a_window_begins_with_the_first_try(clock: Clock) -> None:
    memory = Memory(clock)
    clock.now_s = 1_019.9
    memory.count("a", 60)

    clock.now_s += 59
    within = memory.count("a", 60)
    clock.now_s += 1

    assert [within, memory.count("a", 60)] == [2, 1]


def test_the_oldest_keys_are_forgotten(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "MAX_KEYS", 2)
    memory = Memory(clock)

    counts = [memory.count(key, 60) for key in ("a", "b", "a", "c", "a", "b")]

    assert counts == [1, 1, 2, 1, 3, 1]


def test_tries_at_the_same_moment_are_all_counted() -> None:
    with ThreadPoolExecutor(16) as pool:
        jobs = [
            pool.submit(hit, "door", "ada", limit=40, window_s=1e9) for _ in range(200)
        ]

    assert sum(job.result() for job in jobs) == 40


@pytest.mark.production_only
def test_two_processes_count_together(clock: Clock) -> None:
    key = f"{throttle.prefix}together"
    here = Shared(settings.REDIS_URL, Memory(clock), clock)
    there = Shared(settings.REDIS_URL, Memory(clock), clock)

    assert [here.count(key, 60), there.count(key, 60), here.count(key, 60)] == [1, 2, 3]


@pytest.mark.production_only
def test_a_shared_window_ends_by_itself(clock: Clock) -> None:
    key = f"{throttle.prefix}ends"
    shared = Shared(settings.REDIS_URL, Memory(clock), clock)
    assert [shared.count(key, 1), shared.count(key, 1)] == [1, 2]

    time.sleep(1.1)

    assert shared.count(key, 1) == 1


def test_while_redis_is_away_each_process_counts_for_itself(clock: Clock) -> None:
    # Nobody listens there.
    shared = Shared("redis://127.0.0.1:1/0", Memory(clock), clock)

    assert [shared.count("a", 60), shared.count("a", 60)] == [1, 2]
