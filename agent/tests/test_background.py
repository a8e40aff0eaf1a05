"""What is slow never makes a tick wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from sysmonstm_agent.background import Background, Looks, Overdue
from sysmonstm_agent.collector import NoData

from tests.patience import PATIENCE_S, wait_until


class Slow:
    """Something to look at, that answers when it is let."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.looks = 0
        self.error: Exception | None = None

    def look(self) -> int:
        self.looks += 1
        self.free.wait(PATIENCE_S)
        if self.error:
            raise self.error
        return self.looks


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.free.set()


def background(slow: Slow, *, patience_s: float = PATIENCE_S) -> Background[int]:
    return Background(
        slow.look, name="slow", every_s=10, patience_s=patience_s, overdue_s=60
    )


def test_a_quick_answer_is_there_in_the_tick_that_asked(slow: Slow) -> None:
    assert background(slow).newest(100.0) == (1, 0.0)


def test_between_two_looks_the_last_is_told_with_its_age(slow: Slow) -> None:
    looking = background(slow)
    looking.newest(100.0)

    assert looking.newest(109.0) == (1, 9.0)
    assert looking.newest(110.0) == (2, 0.0)


def test_only_the_tick_that_finds_it_slow_waits(slow: Slow) -> None:
    looking = background(slow)
    looking.newest(100.0)
    slow.free.clear()
    looking._patience_s = 0.1
    looking.newest(110.0)

    ages, took_s = [], []
    for now_s in (115.0, 120.0, 125.0, 130.0):
        began_s = time.monotonic()
        ages.append(looking.newest(now_s)[1])
        took_s.append(time.monotonic() - began_s)

    # A busy machine may hold up some, and does not hold up all.
    assert min(took_s) < 0.1
    assert ages == [15.0, 20.0, 25.0, 30.0]
    # Nobody asks again while one is under way.
    assert slow.looks == 2


def test_what_was_slow_is_not_waited_for_until_it_is_quick_again(slow: Slow) -> None:
    looking = background(slow, patience_s=0.1)
    slow.free.clear()
    with pytest.raises(NoData, match="not looked yet"):
        looking.newest(100.0)
    time.sleep(0.1)
    slow.free.set()
    wait_until(lambda: _there(looking, 101.0))

    value, age_s = looking.newest(110.0)

    # That look was asked for, not waited for.
    assert (value, age_s) in ((1, 10.0), (2, 0.0))
    wait_until(lambda: looking.newest(110.0) == (2, 0.0))
    # For this machine that look may have been slow as well.
    looking._patience_s = PATIENCE_S
    assert looking.newest(120.0) == (3, 0.0)


def test_what_is_always_slow_is_waited_for_once() -> None:
    def look() -> int:
        time.sleep(0.15)
        return 1

    looking = Background(look, name="slow", every_s=5, patience_s=0.1)
    took_s = []
    for now_s in (100.0, 105.0, 110.0, 115.0):
        began_s = time.monotonic()
        _there(looking, now_s)
        took_s.append(time.monotonic() - began_s)
        wait_until(lambda: looking._take()[0] is None)

    assert took_s[0] >= 0.1
    assert min(took_s[1:]) < 0.1


def _there(looking: Background[int], now_s: float) -> bool:
    try:
        looking.newest(now_s)
    except NoData:
        return False
    return True


def test_what_never_comes_back_is_a_failure_and_one_thread(slow: Slow) -> None:
    looking = background(slow)
    looking.newest(100.0)
    slow.free.clear()
    looking._patience_s = 0.01
    threads = threading.active_count()
    for now_s in range(110, 170, 5):
        looking.newest(float(now_s))

    with pytest.raises(Overdue, match="slow has not answered for 60 s"):
        looking.newest(170.0)
    assert threading.active_count() <= threads + 1
    slow.free.set()
    wait_until(lambda: _answers(looking, 171.0))


def _answers(looking: Background[int], now_s: float) -> bool:
    try:
        looking.newest(now_s)
    except Overdue:
        return False
    return True


def test_a_look_that_fails_is_told_of_until_one_does_not(slow: Slow) -> None:
    looking = background(slow)
    slow.error = ValueError("broken")
    for now_s in (100.0, 105.0):
        with pytest.raises(ValueError, match="broken"):
            looking.newest(now_s)
    slow.error = None

    assert looking.newest(110.0) == (2, 0.0)


def test_where_there_is_nothing_it_looks_less_often(slow: Slow) -> None:
    looking = background(slow)
    slow.error = NoData("none")
    for now_s in range(100, 160, 5):
        with pytest.raises(NoData):
            looking.newest(float(now_s))

    assert slow.looks == 1
    slow.error = None
    assert looking.newest(160.0) == (2, 0.0)


def test_all_who_collect_share_one_look(slow: Slow) -> None:
    looks = Looks()
    first = looks.get("slow", lambda: background(slow))
    second = looks.get("slow", lambda: background(slow))

    first.newest(100.0)
    second.newest(100.5)

    assert slow.looks == 1


def test_many_threads_that_ask_at_once_begin_one_look(slow: Slow) -> None:
    looking = background(slow)
    askers = [threading.Thread(target=lambda: _there(looking, 100.0)) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()

    assert looking.newest(101.0) == (1, 1.0)
