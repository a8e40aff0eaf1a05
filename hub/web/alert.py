"""One alert: what happened, and what people did about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from hub.alerts import answers, chapters, history
from hub.alerts.culprit import lines
from hub.alerts.models import Alert
from hub.alerts.text import fill
from hub.alerts.told import ledger, untold
from hub.people import person
from hub.people.policy import operator, viewer
from hub.people.roles import may_operate
from hub.web.alert_chart import chart
from hub.web.stories import Story, stories

LENGTHS = {
    "1h": ("For 1 hour", timedelta(hours=1)),
    "8h": ("For 8 hours", timedelta(hours=8)),
    "resolved": ("Until it is resolved", None),
}

CHOICES = [(key, label) for key, (label, _) in LENGTHS.items()]

Action = Callable[[HttpRequest, Alert], None]


@never_cache
@viewer
@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    alert = _find(request, pk)
    [story] = stories([alert])
    context = {
        "here": "alerts",
        "chart": chart(alert),
        "note": _note(story),
        "runbook": _web(str(alert.snapshot.get("runbook_url", ""))),
        "notices": ledger(alert),
        "untold": untold(alert),
        "chapters": chapters.of(alert),
        "processes": lines(alert, timed=False),
        **_context(request, story),
    }
    return render(request, "web/alert.html", context)


def _answering(action: Action) -> Callable[[HttpRequest, int], HttpResponse]:
    """Make a view of an action: one click, and the row or page says what it did."""

    @wraps(action)
    def view(request: HttpRequest, pk: int) -> HttpResponse:
        alert = _find(request, pk)
        # An alert that has ended meanwhile is shown as that; there is nothing to do.
        if alert.is_open:
            action(request, alert)
        if request.headers.get("Sec-Fetch-Mode") == "navigate":
            # Sent before the page's scripts were there: by the browser itself.
            return redirect("web:alert", pk)
        [story] = stories([_find(request, pk)])
        # The focus goes to what undoes it.
        context = {"was_asked": True, **_context(request, story)}
        if request.headers.get("HX-Target") == "answers":
            return render(request, "web/alert_answers.html", context)
        context["with_machine"] = request.GET.get("machine") != "no"
        return render(request, "web/alert_row.html", context)

    return never_cache(operator(require_POST(view)))


@_answering
def acknowledge(request: HttpRequest, alert: Alert) -> None:
    note = request.POST.get("note", "").replace("\0", "").strip()
    answers.acknowledge(alert, by=person.of(request), note=note)


@_answering
def take_back(request: HttpRequest, alert: Alert) -> None:
    answers.take_back(alert, by=person.of(request))


@_answering
def silence(request: HttpRequest, alert: Alert) -> None:
    _, length = LENGTHS.get(request.POST.get("length", ""), LENGTHS["1h"])
    answers.silence(alert, by=person.of(request), length=length)


@_answering
def lift(request: HttpRequest, alert: Alert) -> None:
    answers.lift(alert, by=person.of(request))


def _find(request: HttpRequest, pk: int) -> Alert:
    # The samples are for the chart; a list does without them.
    alerts = history.visible(request.user).defer(None)
    alerts = alerts.select_related("machine", "acknowledged_by", "culprit")
    found = alerts.filter(pk=pk).first() if pk < 2**63 else None
    if found is None:
        raise Http404
    return found


def _context(request: HttpRequest, story: Story) -> dict[str, Any]:
    return {
        "story": story,
        "lengths": CHOICES,
        "may_operate": may_operate(request.user),
    }


def _note(story: Story) -> str:
    alert = story.alert
    values = {
        "state": alert.state,
        "severity": alert.severity,
        "rule": alert.rule_name,
        "machine": story.machine_title,
        "series": story.series,
        "value": story.now,
        "peak": story.peak,
        "link": "",
    }
    note = str(alert.snapshot.get("note", ""))
    return "\n".join(fill(line, values) for line in note.splitlines())


def _web(url: str) -> str:
    return url if url.startswith(("https://", "http://")) else ""
