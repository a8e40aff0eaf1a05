"""How the hub is, put together for a page, a program and the bar on every page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
from asgiref.sync import async_to_sync

from hub.health import dependencies
from hub.health.agent_line import ATTRIBUTE, METRIC
from hub.health.exposition import Process, processes
from hub.health.probe import Finding
from hub.health.prober import SHELF_NAME
from hub.health.shelf import ShelfDown, get_shelf
from hub.health.stages import STAGES, Late, Status, judge, percentile, sentence
from hub.log import get_logger
from hub.machines.models import Machine
from hub.machines.registry import CANARY
from hub.storage.database import DatabaseDown, guard
from hub.storage.window import Selector, WindowSeries, window

SPAN = timedelta(hours=1)
# One for each test sample of an hour, and room: percentiles need each of them.
POINTS = 1000

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the way, over the last hour; None = not measured."""

    name: str
    last_s: float | None
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    count: int
    # Unix milliseconds and seconds, ascending.
    points: Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the prober last found; without a prober nobody knows."""

    status: Status | None
    late: Late | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Report:
    judgement: Judgement
    stages: Sequence[Stage]
    processes: Sequence[Process]
    dependencies: Mapping[str, Finding]


def report(now: datetime) -> Report:
    """Return everything that is known of the hub itself; never raises."""
    found = judgement()
    return Report(
        found,
        stages(found.status, now),
        processes(),
        async_to_sync(dependencies.findings)(),
    )


def judgement() -> Judgement:
    """Return what the prober says. Cheap: every open page asks now and then."""
    try:
        kept = get_shelf().read().get(SHELF_NAME)
        status = Status(**orjson.loads(kept)) if kept else None
    except (ShelfDown, TypeError) as down:
        # TypeError: a prober of another version, during an update.
        log.info("report.unread", error=str(down))
        status = None
    if status is None:
        return Judgement(None, None, "")
    late = judge(status.seconds, status.slow_s)
    return Judgement(status, late, sentence(late, status.slow_s))


def stages(status: Status | None, now: datetime) -> list[Stage]:
    """Return each stage with what the stored samples say of the last hour."""
    kept = _history(now)
    return [_stage(name, status, kept.get(name)) for name in STAGES]


def _stage(name: str, status: Status | None, kept: WindowSeries | None) -> Stage:
    times = [] if kept is None else kept.time_ms.tolist()
    values = [] if kept is None else kept.max.tolist()
    return Stage(
        name=name,
        last_s=status.seconds[name] if status else None,
        p50_s=percentile(values, 0.5),
        p95_s=percentile(values, 0.95),
        p99_s=percentile(values, 0.99),
        count=len(values),
        points=list(zip(times, values, strict=True)),
    )


def _history(now: datetime) -> dict[str, WindowSeries]:
    try:
        with guard():
            canary = Machine.objects.filter(machine_id=CANARY).first()
        if canary is None:
            return {}
        read = window(canary, [Selector(METRIC)], now - SPAN, now, points=POINTS)
    except DatabaseDown as away:
        log.info("report.no_history", error=str(away))
        return {}
    return {dict(one.info.attributes)[ATTRIBUTE]: one for one in read.series}
