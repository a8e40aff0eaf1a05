"""All machines on one page."""

from __future__ import annotations

import time
from collections.abc import Iterable
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hub.machines.models import Machine
from hub.machines.registry import visible_to
from hub.people.policy import viewer
from hub.people.roles import may_administer
from hub.storage import layouts, states
from hub.storage import sparklines as storage
from hub.storage.sparklines import ASKED_FOR
from hub.storage.summary import plan
from hub.storage.trail import minutes_until
from hub.web import alarms, rows, tags
from hub.web.alarms import Alarms
from hub.web.facts import facts
from hub.web.headline import headline

# More new machines than this at once are fetched in several requests.
ROWS_AT_ONCE = 50

COLUMNS = (
    ("state", "State", ""),
    ("name", "Machine", ""),
    ("cpu", "CPU", ""),
    ("memory", "Memory", ""),
    ("disk", "Fullest disk", ""),
    ("network", "Network", "right flow-head"),
    ("load", "Load / cores", "right load-head"),
)


@never_cache
@viewer
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Show every machine, sorted and filtered as the URL says."""
    order, query = request.GET.get("sort", "state"), request.GET.get("q", "").strip()
    if order.removeprefix("-") not in rows.SORTS:
        order = "state"
    tag = request.GET.get("tag", "").strip()
    kept = {"q": query, "tag": tag}
    everything = read(visible_to(request.user), alarms.of(request))
    found = [row for row in everything if rows.matches(row, query, tag)]
    context = {
        "here": "overview",
        "total": len(everything),
        # Whoever looks at one tag asks about its machines; who types, about all.
        "headline": headline(row for row in everything if not tag or tag in row.tags),
        "rows": rows.html(rows.arrange(everything, order), query=query, tag=tag),
        "none_match": bool(everything) and not found,
        "shown": f"{len(found):,} shown" if query else "",
        "columns": [column(*parts, order=order) for parts in COLUMNS],
        "seen_column": column("seen", "Last seen", "right", order=order),
        "sorts": [(name, label, name == order) for name, label, _ in COLUMNS],
        "query": query,
        "tag": tag,
        "tags": tags.choices(everything, kept | {"sort": request.GET.get("sort", "")}),
        "kept": urlencode({name: text for name, text in kept.items() if text}),
        "order": order,
        "facts": facts(alarms.of(request))
        | {
            "rowsAtOnce": ROWS_AT_ONCE,
            "linesAtOnce": ASKED_FOR,
            "rows": reverse("web:rows"),
            "sparklines": reverse("web:sparklines"),
        },
        "may_administer": may_administer(request.user),
    }
    return render(request, "web/overview.html", context)


@never_cache
@viewer
@require_safe
def some_rows(request: HttpRequest) -> HttpResponse:
    """Return the rows of the machines named by `?id=`, for a page that lacks them."""
    wanted = request.GET.getlist("id")[:ROWS_AT_ONCE]
    machines = visible_to(request.user).filter(machine_id__in=wanted)
    found = read(machines, alarms.of(request))
    return HttpResponse(rows.html(found))


@never_cache
@viewer
@require_safe
def sparklines(request: HttpRequest) -> JsonResponse:
    """Return the last hour's CPU of the machines named by `?id=`.

    Only of those in sight: a page of a thousand asks as it is scrolled.
    """
    wanted = request.GET.getlist("id")[:ASKED_FOR]
    machines = visible_to(request.user).filter(machine_id__in=wanted)
    now = timezone.now()
    minutes = minutes_until(now.timestamp())
    ids = {machine.pk: machine.machine_id for machine in machines}
    lines = {
        ids[pk]: [
            (minute, ratio)
            for minute, ratio in zip(minutes, line, strict=True)
            if ratio is not None
        ]
        for pk, line in storage.sparklines(machines, now=now).items()
    }
    return JsonResponse({"step": 60, "lines": lines})


def read(machines: Iterable[Machine], open_alerts: Alarms) -> list[rows.Row]:
    """Return a row for each machine, from what is known now."""
    found = list(machines)
    samples = states.latest(found)
    tagged = tags.of_machines()
    now_ms = time.time_ns() // 1_000_000
    return [
        rows.row(
            machine,
            sample := samples.get(machine.pk),
            plan(layouts.get(sample.layout)).read(sample.values) if sample else None,
            now_ms,
            open_alerts,
            tagged.get(machine.pk, ()),
        )
        for machine in found
    ]


def column(name: str, label: str, kind: str, *, order: str) -> dict[str, str]:
    """Return a heading: its link turns the order it already has."""
    chosen = order.removeprefix("-") == name
    turned = order.startswith("-")
    downward = (name not in ("state", "name")) != turned
    return {
        "name": name,
        "label": label,
        "kind": kind,
        "sort": f"-{name}" if chosen and not turned else name,
        "aria": ("descending" if downward else "ascending") if chosen else "",
    }
