"""`/metrics`: the hub itself. `/metrics/machines`: what the machines say now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from hub.health import scrape
from hub.health.exposition import exposition
from hub.log import get_logger
from hub.people import owner, tokens
from hub.people.policy import anybody
from hub.storage.database import DatabaseDown, guard

log = get_logger(__name__)

REFUSED = "Sign in, or send a token of `manage.py apitoken create` as a bearer.\n"
AWAY = "The database does not answer; try again soon.\n"

Asker = AbstractBaseUser | AnonymousUser
View = Callable[[HttpRequest], Coroutine[Any, Any, HttpResponseBase]]
AskedView = Callable[[HttpRequest, Asker], Coroutine[Any, Any, HttpResponseBase]]


def _for_scrapers(view: AskedView) -> View:
    """Let a token or a session in, or everybody with METRICS_PUBLIC."""

    @anybody
    @never_cache
    @require_safe
    @wraps(view)
    async def scraped(request: HttpRequest) -> HttpResponseBase:
        try:
            asker = await database_sync_to_async(_asker)(request)
            if asker is None:
                return _said(401, REFUSED)
            return await view(request, asker)
        except DatabaseDown as away:
            log.warning("metrics.database_down", error=str(away))
            return _said(503, AWAY)

    return scraped


@_for_scrapers
async def metrics(request: HttpRequest, asker: Asker) -> HttpResponseBase:
    """Tell what all processes of the hub count about themselves."""
    text = await asyncio.to_thread(exposition)
    return HttpResponse(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)


@_for_scrapers
async def machines(request: HttpRequest, asker: Asker) -> HttpResponseBase:
    """Tell the newest values of every machine that the asker may see."""
    pieces = scrape.pieces(asker)
    # The first piece asks the database; it may still be refused with a status.
    first = await database_sync_to_async(_next)(pieces)
    return StreamingHttpResponse(
        _rest(first, pieces), content_type=CONTENT_TYPE_PLAIN_0_0_4
    )


async def _rest(first: bytes | None, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    piece = first
    while piece is not None:
        yield piece
        piece = await asyncio.to_thread(_next, pieces)


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


def _asker(request: HttpRequest) -> Asker | None:
    """Return who asks; None = nobody we know. Raises DatabaseDown.

    METRICS_PUBLIC shows what the owner sees: it is for a network of one's own.
    """
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    with guard():
        if scheme.lower() == "bearer":
            token = tokens.find(secret.strip())
            return token.user if token else None
        if request.user.is_authenticated:
            return request.user
        return owner.owner() if settings.METRICS_PUBLIC else None


def _said(status: int, sentence: str) -> HttpResponse:
    response = HttpResponse(sentence, status=status, content_type="text/plain")
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response
