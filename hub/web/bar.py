"""The one bar of every page: what people must know while the hub is not whole."""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hub.health.trouble import trouble
from hub.people.policy import anybody


@anybody
@never_cache
@require_safe
def bar(request: HttpRequest) -> HttpResponse:
    """Return what is wrong with the hub: mostly nothing.

    While the database is away nobody can be known, and it says no more than `/ready`
    says to everybody.
    """
    found = trouble()
    is_essential = found is not None and found.is_essential
    if not is_essential and not request.user.is_authenticated:
        # A sign-in page has no place in a bar; the page's own line tells it.
        return HttpResponse(status=204)
    since_ms = found.since_ms if found else None
    return render(
        # Without the request: its context would ask the database who this is.
        None,
        "web/hub_bar.html",
        {
            "trouble": found,
            "since_s": None if since_ms is None else time.time() - since_ms / 1000,
        },
    )
