"""Where a request comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from hub.checks import is_loopback


def of(request: HttpRequest) -> str:
    """Return the address that asks.

    With BEHIND_TLS there is a proxy in front, trusted to say so: it puts whom it heard
    at the end of X-Forwarded-For. What stands before that, and the whole header where
    there is no proxy, was written by whoever asks.
    """
    forwarded = request.headers.get("X-Forwarded-For", "")
    return _heard(forwarded) or str(request.META.get("REMOTE_ADDR", ""))


def of_socket(scope: Mapping[str, Any]) -> str:
    """Return the same of a WebSocket; "" = this machine's own.

    That may be a proxy which was not told of (BEHIND_TLS), and so anybody.
    """
    said = [text for name, text in scope["headers"] if name == b"x-forwarded-for"]
    if heard := _heard(b",".join(said).decode("latin-1")):
        return heard
    host = str((scope.get("client") or ("", 0))[0])
    return "" if is_loopback(host) else host


def _heard(forwarded: str) -> str:
    if not settings.BEHIND_TLS:
        return ""
    return forwarded.rpartition(",")[2].strip()[:64]
