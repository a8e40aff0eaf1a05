"""The bar and the page that stand in while something is away."""

from __future__ import annotations

import time

import pytest
from django.db import OperationalError
from django.test import Client

from hub.health.trouble import Trouble
from hub.storage.database import DatabaseDown
from hub.web import bar


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Say what the dependencies' probes would find."""

    def say(found: Trouble | None) -> None:
        monkeypatch.setattr(bar, "trouble", lambda: found)

    return say


def two_minutes_ago() -> int:
    return time.time_ns() // 1_000_000 - 125_000


def test_a_database_that_is_away_is_told_without_asking_it(wrong) -> None:  # type: ignore[no-untyped-def]
    wrong(Trouble("Database away", two_minutes_ago(), "live <only>.", True))

    # No database fixture: a query here would fail the test.
    html = Client().get("/hub/bar").content.decode()

    assert "Database away since <time " in html
    assert "data-clock>2\u00a0min\u00a0ago</time>. live &lt;only&gt;." in html


def test_other_trouble_is_for_those_who_are_signed_in(wrong, client: Client) -> None:  # type: ignore[no-untyped-def]
    wrong(Trouble("Live updates pause", None, "Redis is away."))

    assert "Live updates pause. Redis is away." in (
        client.get("/hub/bar").content.decode()
    )
    assert Client().get("/hub/bar").status_code == 204


def test_nothing_wrong_is_nothing_said(wrong, client: Client) -> None:  # type: ignore[no-untyped-def]
    wrong(None)

    assert client.get("/hub/bar").content.strip() == b""


@pytest.mark.parametrize("error", [DatabaseDown("x"), OperationalError("x")])
def test_a_page_without_its_database_says_so_and_comes_back(
    error: Exception, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object) -> None:
        raise error

    monkeypatch.setattr("hub.web.overview.read", away)
    client.raise_request_exception = False

    answer = client.get("/")

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    html = answer.content.decode()
    assert "The database is away" in html
    assert "js/again.js" in html
    assert "script-src 'self'" in answer["Content-Security-Policy"]
