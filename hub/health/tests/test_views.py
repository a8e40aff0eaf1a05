from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from hub.health.dependencies import probes
from hub.health.probe import DEADLINE_S, FRESH_S
from hub.testing import prepared
from hub.testing.patience import PATIENCE_S
from hub.testing.processes import free_port, running
from hub.testing.services import redis


@pytest.fixture(autouse=True)
def _nothing_was_asked_before() -> Iterator[None]:
    probes.cache_clear()
    yield
    probes.cache_clear()


def test_health_asks_no_database_whatever_the_browser_sends() -> None:
    # Without the django_db mark, a test that touches the database fails.
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = "somebody"

    response = client.get("/health")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert "no-cache" in response["Cache-Control"]


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_only_questions_are_answered(path: str) -> None:
    assert Client().post(path).status_code == 405


@pytest.mark.django_db(transaction=True)
def test_strangers_are_told_states_alone() -> None:
    asked_for = ["database", "hot", "bus", "storing", "messages"]
    if settings.REDIS_URL:
        asked_for.append("certificate")

    response = Client().get("/ready")

    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "dependencies": {name: {"state": "ok"} for name in asked_for},
    }


@pytest.mark.django_db(transaction=True)
def test_who_signed_in_is_told_more() -> None:
    client = Client()
    client.force_login(User.objects.create_user("ada"))

    dependencies = client.get("/ready").json()["dependencies"]

    assert dependencies["database"]["sentence"] in {
        "PostgreSQL answers.",
        "SQLite answers.",
    }
    for found in dependencies.values():
        assert found["state"] == "ok"
        assert found["sentence"].endswith(".")
        assert 0 <= found["milliseconds"] < 60_000


@pytest.mark.production_only
def test_what_is_away_is_told_and_the_hub_lives_on(tmp_path: Path) -> None:
    with ExitStack() as database, ExitStack() as store:
        env = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
        url = database.enter_context(prepared.postgres(env, settings.BASE_DIR))
        env |= {"TIMESCALE_URL": url, "REDIS_URL": store.enter_context(redis())}
        port = free_port()
        daphne = ("-m", "daphne", "-p", str(port), "hub.asgi:application")
        log = tmp_path / "web.log"
        with running(
            sys.executable, *daphne, env=env, cwd=settings.BASE_DIR, log=log
        ) as web:
            web.wait_for_port(port, within_s=PATIENCE_S)
            assert asked(port) == (200, "ready", [])

            store.close()
            wait_until_it_is_asked_again()
            assert asked(port) == (200, "degraded", ["bus", "hot"])

            database.close()
            wait_until_it_is_asked_again()
            away = ["bus", "database", "hot", "messages"]
            assert asked(port) == (503, "unready", away)
            assert fetched(port, "/health") == (200, {"status": "ok"})
            assert fetched(port, "/api/machines") == (
                503,
                {"error": "The database does not answer; try again soon."},
            )


def wait_until_it_is_asked_again() -> None:
    time.sleep(FRESH_S)


def asked(port: int) -> tuple[int, str, list[str]]:
    """Return the status code, the status, and what is down; in good time."""
    started = time.monotonic()
    code, said = fetched(port, "/ready")
    assert time.monotonic() - started < 10 * DEADLINE_S
    down = [name for name, it in said["dependencies"].items() if it["state"] != "ok"]
    return code, said["status"], sorted(down)


def fetched(port: int, path: str) -> tuple[int, Any]:
    """Ask as a browser would that signed in once."""
    cookie = f"{settings.SESSION_COOKIE_NAME}=somebody"
    request = Request(f"http://127.0.0.1:{port}{path}", headers={"Cookie": cookie})
    try:
        with urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)
