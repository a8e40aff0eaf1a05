"""What a page says when it cannot be made."""

from __future__ import annotations

import sys
from http import HTTPStatus

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from hub.storage.database import DatabaseDown, is_temporary

AGAIN_S = "5"


def server_error(request: HttpRequest) -> HttpResponse:
    """Tell a database that is away, which passes, from a fault."""
    # Django calls this within the except block of what went wrong.
    if _passes(sys.exc_info()[1]):
        return HttpResponse(
            render_to_string("503.html"),
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            headers={"Retry-After": AGAIN_S},
        )
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return HttpResponse(render_to_string("500.html"), status=status)


def _passes(error: BaseException | None) -> bool:
    if isinstance(error, DatabaseError):
        return is_temporary(error)
    return isinstance(error, (DatabaseDown, InterfaceError))
