from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from celery import Celery
from celery.schedules import crontab, schedule

from hub.celery import app as hubs_app
from hub.embedded import beat
from hub.testing.patience import until


@pytest.fixture
def app() -> Celery:
    return Celery("beat-test", set_as_current=False, task_always_eager=True)


async def _run(app: Celery, until_: Callable[[], object]) -> None:
    """Let the clock run until that holds."""
    keeping = asyncio.create_task(beat.keep_time(app))
    try:
        await until(until_)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_a_task_runs_every_time_it_is_due(app: Celery) -> None:
    ran: list[float] = []

    @app.task(name="tick")
    def tick() -> None:
        ran.append(time.monotonic())

    app.conf.beat_schedule = {"tick": {"task": "tick", "schedule": 0.1}}
    began_s = time.monotonic()
    await _run(app, lambda: len(ran) >= 5)

    # Nor more often.
    assert (time.monotonic() - began_s) / 0.1 > len(ran) - 2


async def test_a_task_that_fails_is_run_again_and_stops_no_other(app: Celery) -> None:
    ran: Counter[str] = Counter()

    @app.task(name="bad")
    def bad() -> None:
        ran["bad"] += 1
        raise ValueError("as it happens")

    @app.task(name="good")
    def good() -> None:
        ran["good"] += 1

    app.conf.beat_schedule = {
        "bad": {"task": "bad", "schedule": timedelta(seconds=0.1)},
        "good": {"task": "good", "schedule": schedule(0.1)},
    }
    await _run(app, lambda: ran["bad"] >= 2 and ran["good"] >= 2)


async def test_a_long_task_neither_overlaps_itself_nor_delays_another(
    app: Celery,
) -> None:
    at_once, most, ran, over = 0, 0, 0, 0
    lock = threading.Lock()

    @app.task(name="long")
    def long() -> None:
        nonlocal at_once, most, over
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.4)
        with lock:
            at_once -= 1
            over += 1

    @app.task(name="short")
    def short() -> None:
        nonlocal ran
        ran += 1

    app.conf.beat_schedule = {
        "long": {"task": "long", "schedule": 0.05},
        "short": {"task": "short", "schedule": 0.1},
    }
    await _run(app, lambda: over >= 2)

    assert most == 1
    # Eight times in the time of two long ones, where nothing else is to do.
    assert ran >= 3


async def test_a_clock_that_jumps_is_noticed_within_a_minute(app: Celery) -> None:
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        raise asyncio.CancelledError

    @app.task(name="yearly")
    def yearly() -> None:
        raise AssertionError("it is not due")

    app.conf.beat_schedule = {
        "yearly": {
            "task": "yearly",
            "schedule": crontab("0", "0", day_of_month="1", month_of_year="1"),
        }
    }
    await asyncio.wait([asyncio.create_task(beat.keep_time(app, sleep=nap))])

    assert 0 < naps[0] <= beat.MAX_SLEEP_S


def test_every_task_of_the_hubs_table_exists() -> None:
    hubs_app.autodiscover_tasks(force=True)

    for entry in hubs_app.conf.beat_schedule.values():
        assert entry["task"] in hubs_app.tasks
