"""Where a request comes from."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def of(request: HttpRequest) -> str:
    """Return the address that asks.

    With BEHIND_TLS there is a proxy in front, trusted to say so: it puts whom it heard
    at the end of X-Forwarded-For. What stands before that, and the whole header where
    there is no proxy, was written by whoever asks.
    """
    if settings.BEHIND_TLS:
        heard = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        if heard:
            return heard[:64]
    return str(request.META.get("REMOTE_ADDR", ""))
