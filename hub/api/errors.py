"""Every refusal is JSON with one sentence: {"error": "…"}."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from hub.api.auth import REFUSED
from hub.log import get_logger
from hub.storage.database import DatabaseDown

SENTENCES = {
    HTTPStatus.BAD_REQUEST: "The request makes no sense to the hub.",
    HTTPStatus.UNAUTHORIZED: REFUSED,
    HTTPStatus.FORBIDDEN: "You may not do this.",
    HTTPStatus.NOT_FOUND: "Nothing is here; /api/docs says what there is.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take that method.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The hub made a mistake; its log says which.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database does not answer; try again soon.",
}

log = get_logger(__name__)


def body(status: int, sentence: str = "") -> bytes:
    return orjson.dumps({"error": sentence or SENTENCES[HTTPStatus(status)]})


def refusal(status: int, sentence: str = "") -> HttpResponse:
    response = HttpResponse(
        body(status, sentence), status=status, content_type="application/json"
    )
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = "5"
    return response


def install(api: NinjaAPI) -> None:
    """Answer every exception of the API's views."""

    @api.exception_handler(Http404)
    def not_found(request: HttpRequest, error: Http404) -> HttpResponse:
        return refusal(404)

    @api.exception_handler(HttpError)
    def refused(request: HttpRequest, error: HttpError) -> HttpResponse:
        return refusal(error.status_code, str(error))

    @api.exception_handler(AuthenticationError)
    def unknown(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
        # "Unauthorized" is what the library says when nobody said more.
        return refusal(401, "" if str(error) == "Unauthorized" else str(error))

    @api.exception_handler(ValidationError)
    def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
        return refusal(422, " ".join(_sentence(fault) for fault in error.errors))

    @api.exception_handler(DatabaseDown)
    @api.exception_handler(OperationalError)
    @api.exception_handler(InterfaceError)
    def database_is_away(request: HttpRequest, error: Exception) -> HttpResponse:
        log.warning("api.database_down", path=request.path, error=str(error))
        return refusal(503)

    @api.exception_handler(Exception)
    def mistake(request: HttpRequest, error: Exception) -> HttpResponse:
        log.exception("api.failed", path=request.path, exc_info=error)
        return refusal(500)


def _sentence(fault: dict[str, Any]) -> str:
    """Say which parameter is wrong, and how."""
    place = fault["loc"]
    # ("query", "asked", "attr", 1): the parameter is the last that has a name.
    names = [part for part in place if isinstance(part, str)]
    name = names[-1] if len(names) > 1 else "request"
    message = str(fault["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"{name}: {message}."
