"""One machine: what it is, how it is now, and how it was."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hub.machines.models import Machine
from hub.people.policy import viewer
from hub.people.roles import may_operate
from hub.storage import layouts, states
from hub.storage.sample import StoredSample
from hub.storage.window import window
from hub.web import account, alarms, alert, credential, figures, head, marks, points
from hub.web.charts import selectors
from hub.web.facts import facts
from hub.web.find import find_machine
from hub.web.stories import Story

RANGES = {
    "15m": ("15 min", timedelta(minutes=15)),
    "1h": ("1 h", timedelta(hours=1)),
    "6h": ("6 h", timedelta(hours=6)),
    "24h": ("24 h", timedelta(hours=24)),
    "7d": ("7 d", timedelta(days=7)),
    "30d": ("30 d", timedelta(days=30)),
    "90d": ("90 d", timedelta(days=90)),
}
DEFAULT_RANGE = "1h"
# In an hour of a machine that came a minute ago there is nothing to see.
NEW_RANGE = "15m"
# An hour at a sample every five seconds stays whole; a chart is no wider.
POINTS = 900
# Five days by the hour.
ENOUGH_HOURS = 120


@never_cache
@viewer
@require_safe
def machine(request: HttpRequest, machine_id: str) -> HttpResponse:
    """Show a machine."""
    found = find_machine(request, machine_id)
    sample = states.latest([found]).get(found.pk)
    age = datetime.now(UTC) - found.first_seen
    default = NEW_RANGE if age < RANGES[NEW_RANGE][1] else DEFAULT_RANGE
    chosen = _range(request, default)
    address = request.path
    context = {
        "here": "machine",
        "machine": found,
        "address": address,
        "ranges": [(key, label, key == chosen) for key, (label, _) in RANGES.items()],
        "facts": facts(alarms.of(request))
        | {
            "machine": found.machine_id,
            "charts": reverse("web:charts", args=[found.machine_id]),
            "openAlerts": reverse("web:machine_alerts", args=[found.machine_id]),
            "readings": reverse("web:readings", args=[found.machine_id]),
            "range": chosen,
            "seconds": {key: span.total_seconds() for key, (_, span) in RANGES.items()},
            "interval": found.interval_s,
        },
        "account_help": account.HELP.items(),
        **account.context(found),
        **credential.context(request, found),
        **_open(request, found),
        **_now(request, found, sample),
    }
    return render(request, "web/machine.html", context)


@never_cache
@viewer
@require_safe
def readings(request: HttpRequest, machine_id: str) -> HttpResponse:
    """Return the current-state table, for a page whose layout changed."""
    found = find_machine(request, machine_id)
    sample = states.latest([found]).get(found.pk)
    return render(request, "web/readings.html", _now(request, found, sample))


@never_cache
@viewer
@require_safe
def open_alerts(request: HttpRequest, machine_id: str) -> HttpResponse:
    """Return the machine's open alerts, for a page that heard of news."""
    found = find_machine(request, machine_id)
    return render(request, "web/machine_alerts.html", _open(request, found))


@never_cache
@viewer
@require_safe
def charts(request: HttpRequest, machine_id: str) -> HttpResponse:
    """Return the points of all charts over `?range=`, as `points.py` packs them.

    Or of one time in the past: `?from=` and `?to=`, in milliseconds.
    """
    found = find_machine(request, machine_id)
    start, end = _span(request)
    read = window(found, selectors(), start, end, points=_points(end - start))
    folded = read.step_s != found.interval_s
    body = points.encode(read, folded=folded, marks=marks.of(found, read))
    return HttpResponse(body, content_type="application/octet-stream")


def _span(request: HttpRequest) -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    try:
        start, end = (_moment(request.GET[name]) for name in ("from", "to"))
    except (KeyError, ValueError, OverflowError):
        return now - RANGES[_range(request)][1], now
    end = min(end, now)
    longest = max(span for _, span in RANGES.values())
    return min(max(start, end - longest), end), end


def _points(span: timedelta) -> int:
    """Return how many points a chart asks for: one an hour, once that draws a line.

    A week of minutes is 20 MB to read for a chart half a thousand pixels wide.
    """
    hours = int(span / timedelta(hours=1))
    return hours if ENOUGH_HOURS <= hours <= POINTS else POINTS


def _moment(ms: str) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, UTC)


def _range(request: HttpRequest, default: str = DEFAULT_RANGE) -> str:
    asked = request.GET.get("range", default)
    return asked if asked in RANGES else DEFAULT_RANGE


def _open(request: HttpRequest, found: Machine) -> dict[str, Any]:
    """Return what the template of a machine's open alerts needs."""
    open_ = alarms.of(request).by_machine.get(found.pk, ())
    stories = [Story(one.alert, one.muted) for one in open_]
    return {
        "machine": found,
        "stories": sorted(stories, key=lambda story: story.urgency),
        "may_operate": may_operate(request.user),
        "lengths": alert.CHOICES,
    }


def _now(
    request: HttpRequest, found: Machine, sample: StoredSample | None
) -> dict[str, Any]:
    known = head.of(request, found, sample)
    if sample is None:
        return known | {"groups": []}
    layout = layouts.get(sample.layout)
    values = _floats(sample.values)
    return known | {"layout": layout.id, "groups": figures.groups(layout, values)}


def _floats(values: bytes) -> list[float | None]:
    return [
        value if math.isfinite(value) else None
        for value in struct.unpack(f"<{len(values) // 4}f", values)
    ]
