"""How many open alerts nobody has answered: beside the link that every page has."""

from __future__ import annotations

from typing import Any

from django import template

from hub.web import alarms

register = template.Library()


@register.inclusion_tag("web/alert_badge.html", takes_context=True)
def alert_badge(context: dict[str, Any]) -> dict[str, Any]:
    request = context.get("request")
    # A page that stands in for another, such as "not here", may come without one.
    found = alarms.of(request) if request is not None else alarms.Alarms()
    return {"count": found.unanswered, "level": found.level}
