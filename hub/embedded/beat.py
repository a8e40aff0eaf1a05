"""Periodic work in this process: Celery's table without Celery's processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from celery import Celery, Task
from celery.schedules import BaseSchedule, maybe_schedule
from django.db import connections

from hub.log import get_logger

# A clock that is set back or forward is noticed this soon.
MAX_SLEEP_S = 60.0

log = get_logger(__name__)

Sleep = Callable[[float], Awaitable[None]]


async def keep_time(app: Celery, *, sleep: Sleep = asyncio.sleep) -> None:
    """Run every entry of `app`'s table on time, until cancelled.

    An entry never overlaps itself, and neither its failure nor its length
    touches another: each has a loop of its own and runs in a thread.
    """
    # At once: Celery's own processes do it when they start.
    app.autodiscover_tasks(force=True)
    async with asyncio.TaskGroup() as entries:
        for name, entry in app.conf.beat_schedule.items():
            schedule: BaseSchedule = maybe_schedule(entry["schedule"], app=app)  # type: ignore[assignment]
            task = app.tasks[entry["task"]]
            entries.create_task(_repeat(app, task, schedule, sleep), name=name)


async def _repeat(
    app: Celery, task: Task[..., object], schedule: BaseSchedule, sleep: Sleep
) -> None:
    last = app.now()
    while True:
        due, wait_s = schedule.is_due(last)
        if due:
            last = app.now()
            await asyncio.to_thread(_run, task)
        else:
            await sleep(min(wait_s, MAX_SLEEP_S))


def _run(task: Task[..., object]) -> None:
    try:
        # Celery logs the traceback of a task that fails, and returns.
        task.apply()
    except Exception:
        # What Celery itself trips over must not end the table either.
        log.exception("beat.failed", task=task.name)
    finally:
        connections.close_all()
