"""What Django refuses under /api/ before a view is asked, as JSON as well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from hub.api.errors import SENTENCES, body

PREFIX = "/api/"


@sync_and_async_middleware
def errors_as_json(get_response: Callable[[HttpRequest], Any]) -> Callable[..., Any]:
    """Turn an unknown address, method or host, or a fault, into a sentence."""
    if iscoroutinefunction(get_response):
        ask = cast(Callable[[HttpRequest], Awaitable[HttpResponseBase]], get_response)

        async def awaited(request: HttpRequest) -> HttpResponseBase:
            return _said(request, await ask(request))

        return awaited

    def called(request: HttpRequest) -> HttpResponseBase:
        return _said(request, get_response(request))

    return called


def _said(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if not request.path.startswith(PREFIX) or not isinstance(response, HttpResponse):
        return response
    status = response.status_code
    if status < 400 or response.get("Content-Type") == "application/json":
        return response
    known = status in set(SENTENCES)
    # In place, so that the headers of the other middleware stay.
    response.content = body(status, "" if known else f"{HTTPStatus(status).phrase}.")
    response["Content-Type"] = "application/json"
    response["Content-Length"] = str(len(response.content))
    return response
