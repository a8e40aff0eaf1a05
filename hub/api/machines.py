"""Machines, what they measure now, and what they measured."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from ninja import Query, Router
from ninja.errors import HttpError

from hub.api import schemas
from hub.api.auth import ApiRequest
from hub.api.moments import BadMoment, moment
from hub.api.readings import glance, points, readings
from hub.machines import registry
from hub.machines.models import Machine
from hub.machines.presence import presence
from hub.people.policy import viewer
from hub.storage import states
from hub.storage.account import account
from hub.storage.models import Metric
from hub.storage.sample import StoredSample
from hub.storage.window import Selector, Window, window

# 100,000 points are about 8 MB of JSON; more is a mistake or a dump.
MAX_POINTS = 100_000

REFUSALS = frozenset({401, 500, 503})

# What the API tells of an account under the names that it has there.
ACCOUNT = schemas.Account.model_fields.keys() - {"id", "last_backfill"}

router = Router(tags=["machines"])


@router.get(
    "/machines",
    response={200: schemas.Machines, REFUSALS: schemas.Error},
    summary="All machines",
)
@viewer
def list_machines(request: ApiRequest) -> dict[str, Any]:
    """Every machine that you may see, with how it is doing now."""
    machines = list(registry.visible_to(request.user).order_by("machine_id"))
    latest = states.latest(machines)
    now_ms = _now_ms()
    return {
        "machines": [
            _machine(machine, latest.get(machine.pk), now_ms) for machine in machines
        ]
    }


@router.get(
    "/machines/{machine_id}/metrics",
    response={200: schemas.Current, REFUSALS | {404}: schemas.Error},
    summary="The newest sample of one machine",
)
@viewer
def current(request: ApiRequest, machine_id: str) -> dict[str, Any]:
    """Every reading of the machine's newest sample, with its unit."""
    machine = _find(request, machine_id)
    sample = states.latest([machine]).get(machine.pk)
    state = _state(machine, sample, _now_ms())
    return {**state, "readings": list(readings(sample)) if sample else []}


@router.get(
    "/machines/{machine_id}/history",
    response={200: schemas.History, REFUSALS | {404, 422}: schemas.Error},
    summary="One metric over time",
    by_alias=True,
)
@viewer
def history(
    request: ApiRequest, machine_id: str, asked: Query[schemas.HistoryQuery]
) -> dict[str, Any]:
    """One metric of a machine between two moments, with all its series.

    Each point stands for `step_s` seconds: the smallest, the mean and the
    largest value in them.
    """
    start, end = _span(asked)
    attributes = _attributes(asked.attr)
    machine = _find(request, machine_id)
    metric = _metric(asked.metric)
    chosen = Selector(metric.name, attributes)
    found = window(machine, [chosen], start, end, points=asked.points)
    return {
        "id": machine.machine_id,
        "metric": metric.name,
        "unit": metric.unit,
        "kind": metric.kind,
        "help": metric.help,
        "from": found.start,
        "to": found.end,
        "tier": found.tier,
        "parts": [
            {"tier": tier, "from": part_start, "to": part_end}
            for tier, part_start, part_end in found.parts
        ],
        "step_s": found.step_s,
        "series": _series(found),
    }


@router.get(
    "/machines/{machine_id}/account",
    response={200: schemas.Account, REFUSALS | {404}: schemas.Error},
    summary="What became of every sample of one machine",
    by_alias=True,
)
@viewer
def get_account(request: ApiRequest, machine_id: str) -> dict[str, Any]:
    """The machine's account: produced = stored + evicted + refused + spooled.

    `remainder` is what that leaves; anything but 0 is a fault. Counts are within the
    spool that the agent has now; `lost` went with those before it.
    """
    machine = _find(request, machine_id)
    found = account(machine)
    if found is None:
        raise HttpError(404, f"{machine.title} has not sent a sample yet.")
    backfill = found.last_backfill
    return {
        "id": machine.machine_id,
        **{name: getattr(found, name) for name in ACCOUNT},
        "last_backfill": backfill and {"from": backfill[0], "to": backfill[1]},
    }


def _machine(
    machine: Machine, sample: StoredSample | None, now_ms: int
) -> dict[str, Any]:
    return {
        **_state(machine, sample, now_ms),
        "os": machine.os,
        "kernel": machine.kernel,
        "architecture": machine.architecture,
        "agent_version": machine.agent_version,
        "boot_time": machine.boot_time,
        "interval_s": machine.interval_s,
        "first_seen": machine.first_seen,
        "summary": sample and glance(sample),
    }


def _state(
    machine: Machine, sample: StoredSample | None, now_ms: int
) -> dict[str, Any]:
    seen_ms = sample.received_ms if sample else None
    return {
        "id": machine.machine_id,
        "title": machine.title,
        "presence": presence(
            seen_ms=seen_ms,
            now_ms=now_ms,
            interval_s=machine.interval_s,
            left_at=machine.left_at,
        ),
        "seen": sample and _at(sample.received_ms),
        "time": sample and _at(sample.time_ms),
    }


def _find(request: ApiRequest, machine_id: str) -> Machine:
    # PostgreSQL has no NUL in texts and would call the question a fault.
    found = (
        None
        if "\0" in machine_id
        else registry.visible_to(request.user).filter(machine_id=machine_id).first()
    )
    if found is None:
        raise HttpError(404, f"There is no machine named {machine_id!r}.")
    return found


def _metric(name: str) -> Metric:
    found = None if "\0" in name else Metric.objects.filter(name=name).first()
    if found is None:
        raise HttpError(404, f"There is no metric named {name!r}.")
    return found


def _span(asked: schemas.HistoryQuery) -> tuple[datetime, datetime]:
    now = timezone.now()
    start = _moment("from", asked.from_, now)
    end = _moment("to", asked.to, now)
    if start >= end:
        raise HttpError(422, "from: It must be earlier than to.")
    return start, end


def _moment(name: str, text: str, now: datetime) -> datetime:
    try:
        return moment(text, now=now)
    except BadMoment as bad:
        raise HttpError(422, f"{name}: {bad}.") from None


def _attributes(attrs: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for attr in attrs:
        name, _, value = attr.partition(":")
        if found.setdefault(name, value) != value:
            raise HttpError(422, f"attr: No series has two values of {name}.")
    return found


def _series(found: Window) -> Iterable[dict[str, Any]]:
    if sum(len(series.time_ms) for series in found.series) > MAX_POINTS:
        raise HttpError(
            422,
            f"points: {len(found.series)} series have more than {MAX_POINTS} points "
            "in this span; ask for fewer, or for some series by attr.",
        )
    return [
        {"attributes": dict(series.info.attributes), "points": points(series)}
        for series in found.series
    ]


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
