"""Was this socket opened by one of our own pages?

A browser sends the cookie along from any page, so the cookie proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


def is_ours(scope: Mapping[str, Any], *, required: bool) -> bool:
    """Judge the Origin header; without one, `required` decides.

    It must name the very scheme, host and port of this request, or one of
    PUBLIC_URLS. A proxy may be between, so what it says of the scheme counts
    where Django trusts it.
    """
    named = headers(scope, b"origin")
    if not named:
        return not required
    if len(named) > 1:
        return False
    origin = parse(named[0])
    return origin is not None and origin in _ours(scope)


def headers(scope: Mapping[str, Any], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def parse(url: str) -> Origin | None:
    """Return scheme, host and port, or None for what is no origin ("null")."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or PORTS[parts.scheme]


def _ours(scope: Mapping[str, Any]) -> Iterable[Origin]:
    for url in settings.PUBLIC_URLS:
        if public := parse(url):
            yield public
    hosts = headers(scope, b"host")
    if len(hosts) != 1:
        return
    # Whoever controls a name can point it at us, and be its own "same host".
    domain, _port = split_domain_port(hosts[0])
    allowed = settings.ALLOWED_HOSTS
    if settings.DEBUG and not allowed:
        allowed = [".localhost", "127.0.0.1", "[::1]"]
    if domain and validate_host(domain, allowed):
        own = parse(f"{_scheme(scope)}://{hosts[0]}")
        if own is not None:
            yield own


def _scheme(scope: Mapping[str, Any]) -> str:
    if settings.SECURE_PROXY_SSL_HEADER:
        name, secure = settings.SECURE_PROXY_SSL_HEADER
        key = name.removeprefix("HTTP_").replace("_", "-").lower().encode()
        said = headers(scope, key)
        if said:
            return "https" if said[0].split(",")[0].strip() == secure else "http"
    return "https" if scope.get("scheme") in ("wss", "https") else "http"
