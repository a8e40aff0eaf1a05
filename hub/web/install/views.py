"""The addresses below /install/: open to everybody, since they hold no secret."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from html import escape
from typing import Any

from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hub.checks import grpc_speaks_tls
from hub.machines import authority
from hub.people import address, throttle
from hub.people.policy import anybody
from hub.web.install import place, script, stock

# A machine asks ten times; a rack of them may sit behind one address.
REQUESTS, WINDOW_S = 300, 60.0

View = Callable[..., HttpResponseBase]


def _handed_out(view: View) -> View:
    """Make a view that anybody may ask, but nobody in a flood."""

    @wraps(view)
    def counted(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        asker = address.of(request)
        if throttle.hit("install", asker, limit=REQUESTS, window_s=WINDOW_S):
            return view(request, *args, **kwargs)
        return HttpResponse(
            "Too many requests from your address: wait a minute.\n",
            content_type="text/plain",
            status=429,
            headers={"Retry-After": f"{WINDOW_S:.0f}"},
        )

    return never_cache(anybody(require_safe(counted)))


@_handed_out
def hub_json(request: HttpRequest) -> HttpResponse:
    """Say where agents call and whose certificate they meet there."""
    tls = grpc_speaks_tls()
    return JsonResponse(
        {
            "grpc": place.grpc(request),
            "enrol": place.enrol(request),
            "tls": tls,
            "ca": authority.ca_pem() if tls else "",
            "name": authority.SERVER_NAME,
            "version": script.version(),
            # For an agent's doctor, who compares.
            "clock_unix_ms": time.time_ns() // 1_000_000,
        }
    )


@_handed_out
def agent_sh(request: HttpRequest) -> HttpResponse:
    return _plain(script.agent_sh())


@_handed_out
def uninstall_sh(request: HttpRequest) -> HttpResponse:
    return _plain(script.uninstall_sh())


@_handed_out
def unit(request: HttpRequest) -> HttpResponse:
    return _plain(script.unit())


@_handed_out
def requirements_txt(request: HttpRequest) -> HttpResponse:
    return _plain(script.requirements_txt())


@_handed_out
def dockerfile(request: HttpRequest) -> HttpResponse:
    return _plain(script.dockerfile(place.web(request)))


@_handed_out
def wheels(request: HttpRequest) -> HttpResponse:
    """List them as pip's --find-links reads it."""
    found = [(one.filename, one.sha256) for one in stock.ours()]
    found += [(one.path.name, one.sha256) for one in stock.bundle()]
    links = "\n".join(
        f'<a href="{escape(name)}#sha256={digest}">{escape(name)}</a><br>'
        for name, digest in found
    )
    return HttpResponse(
        "<!doctype html><html lang=en><title>Wheels</title>\n"
        f"<h1>Wheels of this hub</h1>\n{links}\n"
    )


@_handed_out
def wheel(request: HttpRequest, filename: str) -> HttpResponseBase:
    """Hand out one of those that are listed, and no other file."""
    for made in stock.ours():
        if made.filename == filename:
            return HttpResponse(made.content, content_type="application/zip")
    for bundled in stock.bundle():
        if bundled.path.name == filename:
            return FileResponse(bundled.path.open("rb"), content_type="application/zip")
    raise Http404


def _plain(text: script.Text) -> HttpResponse:
    return HttpResponse(text.content, content_type="text/plain; charset=utf-8")
