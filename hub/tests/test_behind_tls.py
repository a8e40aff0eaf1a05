"""What the settings make of a proxy in front that speaks TLS."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from hub.tests.imports import ROOT


def settings(
    monkeypatch: pytest.MonkeyPatch, folder: Path, **said: str
) -> dict[str, Any]:
    for name, value in {"DATA_DIR": str(folder), "SECRET_KEY": "x", **said}.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "hub" / "settings.py"))


def test_cookies_and_pages_then_travel_by_tls_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = settings(monkeypatch, tmp_path, BEHIND_TLS="true")

    assert found["SESSION_COOKIE_SECURE"] is found["CSRF_COOKIE_SECURE"] is True
    assert found["SECURE_SSL_REDIRECT"] is True
    assert found["SECURE_HSTS_SECONDS"] >= 180 * 24 * 3600


def test_nobody_is_believed_who_only_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = settings(monkeypatch, tmp_path, BEHIND_TLS="false")

    assert "SECURE_PROXY_SSL_HEADER" not in found
    assert found["SESSION_COOKIE_SECURE"] is False
