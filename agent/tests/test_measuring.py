from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sysmonstm_agent.layout import Layout, Sample
from sysmonstm_agent.measuring import Measuring, Ticks
from sysmonstm_agent.memory_spool import MemorySpool

from tests.patience import PATIENCE_S


def run(ticks: Ticks, now_s: float, took_s: float = 0.01) -> float:
    """Take the sample that is due; return when it was."""
    due_s = max(ticks.due_s, now_s)
    ticks.begin()
    ticks.took(due_s + took_s)
    return due_s


def test_a_longer_interval_counts_from_the_last_sample() -> None:
    ticks = Ticks(100.0, 5)
    run(ticks, 100.0)

    ticks.change(60, 103.0)

    assert ticks.due_s == 160
    run(ticks, 160.0)
    assert ticks.due_s == 220


def test_a_shorter_one_is_due_at_once_where_it_is_over() -> None:
    ticks = Ticks(100.0, 300)
    run(ticks, 100.0)

    ticks.change(1, 150.0)

    assert ticks.due_s == 150
    run(ticks, 150.0)
    assert ticks.due_s == 151


def test_a_shorter_one_waits_for_its_own_end() -> None:
    ticks = Ticks(100.0, 300)
    run(ticks, 100.0)

    ticks.change(60, 120.0)

    assert ticks.due_s == 160


def test_a_change_while_a_sample_is_taken_counts_from_that_sample() -> None:
    ticks = Ticks(100.0, 5)
    run(ticks, 100.0)
    ticks.begin()

    ticks.change(10, 105.1)
    ticks.took(105.2)

    assert ticks.due_s == 115


def test_the_same_interval_changes_nothing() -> None:
    ticks = Ticks(100.0, 5)
    run(ticks, 100.0)

    ticks.change(5, 104.0)

    assert ticks.due_s == 105


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 300), st.floats(0, 400), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_no_tick_is_lost_or_doubled_whatever_changes(
    changes: list[tuple[int, float, bool]],
) -> None:
    """Each change comes some time after the one before, perhaps within a tick."""
    now_s, interval_s = 1_000.0, 5.0
    ticks = Ticks(now_s, interval_s)
    taken: list[tuple[float, float, float]] = []
    longest_s = shortest_s = interval_s
    for wanted_s, later_s, within in changes:
        until_s = now_s + later_s
        while ticks.due_s <= until_s:
            now_s = max(ticks.due_s, now_s)
            taken.append((now_s, shortest_s, longest_s))
            ticks.begin()
            longest_s = shortest_s = ticks.interval_s
            now_s += 0.01
            if within:
                break
            ticks.took(now_s)
        else:
            within, now_s = False, until_s
        ticks.change(wanted_s, now_s)
        longest_s = max(longest_s, wanted_s)
        shortest_s = min(shortest_s, wanted_s)
        if within:
            ticks.took(now_s + 0.01)
            now_s += 0.01

    for (before_s, _, _), (at_s, least_s, most_s) in pairwise(taken):
        assert least_s - 0.001 <= at_s - before_s <= most_s + 0.03


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def sample(self) -> Sample:
        self.count += 1
        return Sample(1, Layout(()), b"")


def measuring(interval_s: float) -> tuple[Measuring, MemorySpool, threading.Semaphore]:
    spool, told = MemorySpool(), threading.Semaphore(0)
    made = Measuring(Counter(), spool, interval_s=interval_s, appended=told.release)
    return made, spool, told


def test_another_interval_is_taken_up_at_once() -> None:
    made, spool, told = measuring(300)
    made.start()
    assert told.acquire(timeout=PATIENCE_S)

    made.set_interval(0.02)

    for _ in range(5):
        assert told.acquire(timeout=PATIENCE_S)
    made.stop()
    assert spool.last >= 6


def test_another_interval_that_is_not_over_makes_no_sample_at_once() -> None:
    made, _, told = measuring(300)
    made.start()
    assert told.acquire(timeout=PATIENCE_S)

    made.set_interval(200)

    assert not told.acquire(timeout=0.1)
    made.stop()


def test_what_is_to_be_done_between_two_ticks_is_done_soon() -> None:
    made, spool, told = measuring(300)
    done = threading.Event()
    threads: list[str] = []
    made.start()
    assert told.acquire(timeout=PATIENCE_S)

    def job() -> None:
        threads.append(threading.current_thread().name)
        done.set()

    made.between(job)

    assert done.wait(PATIENCE_S)
    made.stop()
    assert threads == ["measure"]
    assert spool.last == 1


def test_what_fails_between_two_ticks_stops_no_tick(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made, _, told = measuring(0.02)
    made.between(lambda: 1 / 0)
    made.start()

    for _ in range(3):
        assert told.acquire(timeout=PATIENCE_S)

    made.stop()
    assert [record.message for record in caplog.records] == ["sample.failed"]
