"""How the hub itself is: its test samples, its processes, what it leans on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from hub.alerts import postbox
from hub.alerts.delivery import revive
from hub.health import report
from hub.health.exposition import Process
from hub.health.figures import Figures
from hub.health.probe import Finding, State
from hub.health.report import Judgement, Report, Stage
from hub.health.stages import COMMIT, DEADLINE_S, EVENT, FRAME, Late
from hub.people import audit
from hub.people.policy import anybody, operator, viewer
from hub.people.roles import may_operate
from hub.storage.database import DatabaseDown, guard
from hub.web.templatetags.units import (
    NOTHING,
    bytes_parts,
    count_parts,
    join,
    percent_parts,
)

STAGES = {
    COMMIT: ("Stored", "committed to the database and acknowledged"),
    EVENT: ("Told", "heard on the event bus"),
    FRAME: ("Shown", "in the hands of a browser"),
}
DEPENDENCIES = {
    "database": "Database",
    "hot": "Newest values",
    "bus": "Events",
    "storing": "Storing",
    "messages": "Messages",
    "certificate": "Certificate",
    "archive": "Archive",
}
ROLES = {
    "up": "Hub",
    "web": "Web",
    "grpcserve": "Ear for agents",
    "alertserve": "Rules",
    "worker": "Worker",
    "probe": "Prober",
}
LATE = {
    None: ("online", "On time"),
    Late.SLOW: ("warning", "Slow"),
    Late.SHOWING: ("warning", "Late"),
    Late.STORING: ("critical", "Late"),
}

# The small picture of an hour: the slowest of each minute.
WIDTH, HEIGHT, SPAN_MS, STEP_MS = 120, 20, 3_600_000, 60_000
# A picture of a quick stage is not blown up to look like a slow one.
LEAST_S = 0.25


Pairs = Sequence[tuple[str, str]]


class Line(NamedTuple):
    """A row of the table of stages, as text."""

    name: str
    text: str
    last: str
    p50: str
    p95: str
    p99: str
    path: str


class Card(NamedTuple):
    """One process, or one side of its work."""

    title: str
    place: str
    pairs: Pairs


@never_cache
@viewer
@require_safe
def hub(request: HttpRequest) -> HttpResponse:
    return render(request, "web/hub.html", {"here": "hub", **_now(request)})


@never_cache
@operator
@require_POST
def try_again(request: HttpRequest) -> HttpResponse:
    """Give messages that were given up another day."""
    count = revive(postbox.dead())
    audit.of(request, "messages.tried_again", count=count)
    return render(request, "web/hub_now.html", _now(request))


@never_cache
@anybody
@require_safe
def now(request: HttpRequest) -> HttpResponse:
    """Return what changes on that page."""
    if not request.user.is_authenticated:
        return _reload()
    return render(request, "web/hub_now.html", _now(request))


def _reload() -> HttpResponse:
    return HttpResponse(status=204, headers={"HX-Refresh": "true"})


def _now(request: HttpRequest) -> dict[str, Any]:
    found: Report = report.report(timezone.now())
    return {
        **_said(found.judgement),
        "dead": _dead() if may_operate(request.user) else 0,
        "lines": [
            line(stage, is_tested=found.judgement.status is not None)
            for stage in found.stages
        ],
        "count": max((stage.count for stage in found.stages), default=0),
        "cards": [one for process in found.processes for one in cards(process)],
        "dependencies": [
            (DEPENDENCIES[name], finding, _state(finding))
            for name, finding in found.dependencies.items()
        ],
    }


def _dead() -> int:
    try:
        with guard():
            return postbox.dead().count()
    except DatabaseDown:
        return 0


def _said(judgement: Judgement) -> dict[str, Any]:
    now_ms = time.time_ns() // 1_000_000
    status = judgement.status
    if status is None:
        return {"state": "never", "word": "Unknown", "sentence": ""}
    state, word = LATE[judgement.late]
    since = status.late_since_ms
    return {
        "state": state,
        "word": word,
        "sentence": judgement.sentence,
        "since_ms": since,
        "since_s": None if since is None else (now_ms - since) / 1000,
        "ended_ms": status.ended_ms,
        "age_s": (now_ms - status.ended_ms) / 1000,
        "unanswered": any(seconds is None for seconds in status.seconds.values()),
    }


def _state(finding: Finding) -> str:
    return "online" if finding.state == State.OK else "critical"


def line(stage: Stage, *, is_tested: bool) -> Line:
    name, text = STAGES[stage.name]
    # A test that has ended without an answer took at least so long.
    last_s = DEADLINE_S if is_tested and stage.last_s is None else stage.last_s
    return Line(
        name=name,
        text=text,
        last=took(last_s),
        p50=took(stage.p50_s),
        p95=took(stage.p95_s),
        p99=took(stage.p99_s),
        path=path(stage.points),
    )


def took(seconds: float | None) -> str:
    """Return "82 ms", "1.4 s"; at the deadline nobody knows how long it was."""
    if seconds is None:
        return NOTHING[0]
    if seconds >= DEADLINE_S:
        return f">\u00a0{DEADLINE_S:.0f}\u00a0s"
    if seconds < 0.0095:
        return f"{seconds * 1000:.1f}\u00a0ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}\u00a0ms"
    return f"{seconds:.1f}\u00a0s"


def path(points: Sequence[tuple[int, float]]) -> str:
    """Draw an hour: a line where there are minutes, nothing where there are none."""
    slowest: dict[int, float] = {}
    for time_ms, seconds in points:
        minute = time_ms // STEP_MS
        slowest[minute] = max(seconds, slowest.get(minute, 0.0))
    if not slowest:
        return ""
    last, top = max(slowest), max(LEAST_S, *slowest.values())
    parts = []
    for minute, seconds in sorted(slowest.items()):
        x = WIDTH - (last - minute) * STEP_MS * WIDTH / SPAN_MS
        y = HEIGHT - seconds * HEIGHT / top
        move = "L" if minute - 1 in slowest else "M"
        parts.append(f"{move}{x:.1f} {y:.1f}")
    # A single minute is a dot's width of line.
    return "".join(parts) if len(parts) > 1 else f"{parts[0]}h1"


def cards(process: Process) -> Iterator[Card]:
    """Say what a process has to say; what it does not do is left out."""
    figures, role = process.figures, ROLES.get(process.role, process.role)
    yield Card(role, process.place, _itself(figures))
    if "sysmonstm_streams" in figures:
        yield Card(f"{role}: taking in", process.place, _taking_in(figures))
    if "sysmonstm_alerts_judged_samples_total" in figures:
        yield Card(f"{role}: watching rules", process.place, _watching(figures))
    if "sysmonstm_sockets" in figures:
        yield Card(f"{role}: showing", process.place, _showing(figures))


def _itself(figures: Figures) -> Pairs:
    return [
        ("Memory", join(bytes_parts(figures.get("process_resident_memory_bytes")))),
        ("CPU", join(percent_parts(figures.get("cpu_ratio")))),
        ("Event loop late by", _both(figures, "sysmonstm_event_loop_lag_seconds")),
    ]


def _taking_in(figures: Figures) -> Pairs:
    return [
        ("Agents connected", _count(figures, "sysmonstm_streams")),
        ("Samples stored", _count(figures, "sysmonstm_samples_stored_total")),
        ("Repeats absorbed", _count(figures, "sysmonstm_samples_duplicate_total")),
        ("Refused", _count(figures, "sysmonstm_refusals_total")),
        ("Waiting for commit", _count(figures, "sysmonstm_writer_queue_samples")),
        (
            "Samples in a commit",
            _both(figures, "sysmonstm_writer_batch_samples", _whole),
        ),
        ("Commit takes", _both(figures, "sysmonstm_writer_commit_seconds")),
        ("Acknowledged after", _both(figures, "sysmonstm_ack_latency_seconds")),
    ]


def _showing(figures: Figures) -> Pairs:
    return [
        ("Browsers connected", _count(figures, "sysmonstm_sockets")),
        ("Frames sent", _count(figures, "sysmonstm_frames_total")),
        ("Events heard after", _both(figures, "sysmonstm_event_lag_seconds")),
    ]


def _watching(figures: Figures) -> Pairs:
    return [
        ("Alerts open", _count(figures, "sysmonstm_alerts_open")),
        ("Samples judged", _count(figures, "sysmonstm_alerts_judged_samples_total")),
        ("Waiting to be judged", _count(figures, "sysmonstm_alerts_waiting_samples")),
        ("Missed", _count(figures, "sysmonstm_alerts_lost_samples_total")),
        ("Judged after", _both(figures, "sysmonstm_alerts_lag_seconds")),
    ]


def _both(
    figures: Figures, name: str, said: Callable[[float], str] | None = None
) -> str:
    """Return the median and the 99th of a hundred."""
    found = figures.get(name)
    if not found or found["p50"] is None:
        return NOTHING[0]
    write = said or took
    return f"{write(found['p50'])} · {write(found['p99'])}"


def _count(figures: Figures, name: str) -> str:
    # A counter by reason is absent until there is one.
    return _whole(figures.get(name, 0.0))


def _whole(value: float) -> str:
    return join(count_parts(value))
