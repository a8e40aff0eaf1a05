"""All alerts: what is open, and everything that ever was."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hub.alerts import history
from hub.alerts.history import BadKey, Filter
from hub.alerts.models import Alert, Rule
from hub.people.policy import viewer
from hub.people.roles import may_operate
from hub.web import alarms
from hub.web.alert import CHOICES
from hub.web.stories import stories

SHOWN = {"open": "Open", "history": "History"}
SEVERITIES = ("critical", "warning")
# Of open alerts all are wanted: who scrolls past this has other worries.
OPEN_AT_ONCE = 200


@never_cache
@viewer
@require_safe
def alerts(request: HttpRequest) -> HttpResponse:
    """Show the list; a part of it for a page that has the rest."""
    context = _context(request)
    if request.headers.get("HX-Trigger") == "more":
        return render(request, "web/alert_rows.html", context)
    return render(request, "web/alerts.html", context)


@never_cache
@viewer
@require_safe
def open_now(request: HttpRequest) -> JsonResponse:
    """Return what every page shows of open alerts, for a page that heard of news."""
    return JsonResponse(alarms.of(request).script())


def _context(request: HttpRequest) -> dict[str, Any]:
    asked = {name: request.GET.get(name, "").strip() for name in NAMES}
    show = asked["show"] if asked["show"] in SHOWN else "open"
    found = _page(request, show, asked)
    told = stories(found.alerts)
    if show == "open":
        told.sort(key=lambda story: story.urgency)
    rules = list(Rule.objects.order_by("name").values("pk", "name", "enabled"))
    is_filtered = any(asked[name] for name in NAMES[1:])
    kept = {name: text for name, text in asked.items() if text and name != "after"}
    return {
        "here": "alerts",
        "show": show,
        "tabs": [
            (label, _address(kept | {"show": key}), key == show)
            for key, label in SHOWN.items()
        ],
        "asked": asked,
        "severities": SEVERITIES,
        "rules": rules,
        "has_rules": any(rule["enabled"] for rule in rules),
        "has_history": bool(found.alerts) or history.visible(request.user).exists(),
        "stories": told,
        "more": found.after and _address(kept | {"after": found.after}),
        "is_filtered": is_filtered,
        "all": _address({"show": show}),
        "may_operate": may_operate(request.user),
        "lengths": CHOICES,
        "with_machine": True,
        "alarms": alarms.of(request),
    }


NAMES = ("show", "q", "severity", "machine", "rule", "after")


def _page(request: HttpRequest, show: str, asked: dict[str, str]) -> history.Page:
    wanted = Filter(
        state=Alert.Status.FIRING if show == "open" else "",
        severity=asked["severity"] if asked["severity"] in SEVERITIES else "",
        machine=asked["machine"].replace("\0", ""),
        rule=int(asked["rule"]) if _is_key(asked["rule"]) else None,
        text=asked["q"],
    )
    size = OPEN_AT_ONCE if show == "open" else history.PAGE
    try:
        return history.page(request.user, wanted, after=asked["after"], size=size)
    except BadKey:
        return history.page(request.user, wanted, size=size)


def _is_key(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _address(fields: dict[str, str]) -> str:
    return f"?{urlencode(fields)}"
