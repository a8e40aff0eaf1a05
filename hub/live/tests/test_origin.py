from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from hub.live.origin import is_ours


@pytest.fixture(autouse=True)
def _hub(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["hub.example", "127.0.0.1", "[::1]"]
    settings.PUBLIC_URLS = ["https://monitor.example.org"]
    settings.SECURE_PROXY_SSL_HEADER = None


def a_scope(*headers: tuple[str, str], scheme: str = "ws") -> dict[str, Any]:
    named = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return {"scheme": scheme, "headers": named}


@pytest.mark.parametrize(
    ("host", "origin", "scheme"),
    [
        ("hub.example:8000", "http://hub.example:8000", "ws"),
        ("hub.example", "http://hub.example", "ws"),
        ("hub.example:80", "http://hub.example", "ws"),
        ("HUB.example", "http://hub.example", "ws"),
        ("hub.example", "https://hub.example", "wss"),
        ("[::1]:8000", "http://[::1]:8000", "ws"),
        ("hub.example", "https://monitor.example.org", "ws"),
        ("hub.example", "https://monitor.example.org:443", "ws"),
    ],
)
def test_our_own_pages_may(host: str, origin: str, scheme: str) -> None:
    scope = a_scope(("host", host), ("origin", origin), scheme=scheme)

    assert is_ours(scope, required=True)


@pytest.mark.parametrize(
    ("host", "origin", "scheme"),
    [
        ("hub.example", "http://evil.example", "ws"),
        ("hub.example", "null", "ws"),
        ("hub.example", "", "ws"),
        ("hub.example", "http://hub.example:8001", "ws"),
        ("hub.example", "http://hub.example", "wss"),
        ("hub.example", "https://hub.example", "ws"),
        ("hub.example", "http://monitor.example.org", "ws"),
        ("hub.example", "http://hub.example.evil.example", "ws"),
        ("hub.example", "file://hub.example", "ws"),
        ("hub.example", "http://hub.example:notaport", "ws"),
        # A name of the attacker's that leads to us: the same host, and not ours.
        ("evil.example", "http://evil.example", "ws"),
        ("", "http://hub.example", "ws"),
    ],
)
def test_others_may_not(host: str, origin: str, scheme: str) -> None:
    scope = a_scope(("host", host), ("origin", origin), scheme=scheme)

    assert not is_ours(scope, required=True)
    assert not is_ours(scope, required=False)


def test_no_origin_is_enough_only_where_none_is_required() -> None:
    scope = a_scope(("host", "hub.example"))

    assert not is_ours(scope, required=True)
    assert is_ours(scope, required=False)


def test_two_origins_are_none() -> None:
    ours = ("origin", "http://hub.example")

    assert not is_ours(a_scope(("host", "hub.example"), ours, ours), required=False)


def test_two_hosts_are_none() -> None:
    host, origin = ("host", "hub.example"), ("origin", "http://hub.example")

    assert not is_ours(a_scope(host, host, origin), required=True)


def test_a_proxy_s_word_for_tls_counts_where_it_is_trusted(settings: Settings) -> None:
    headers = [
        ("host", "hub.example"),
        ("origin", "https://hub.example"),
        ("x-forwarded-proto", "https"),
    ]
    assert not is_ours(a_scope(*headers), required=True)

    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

    assert is_ours(a_scope(*headers), required=True)
