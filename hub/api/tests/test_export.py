"""What leaves the hub in great amounts, or for another program."""

from __future__ import annotations

import importlib
import time

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from hub.api.tests.conftest import CPU, arrive, store
from hub.storage import layouts

pytestmark = pytest.mark.django_db

FORMULAS = ("=cmd|'/c calc'!A0", "@SUM(1)", "+1", "-1", "\t=1")


@pytest.mark.parametrize("since", ["-3650d", "1990-01-01T00:00:00Z"])
def test_ten_years_are_answered_with_so_many_points(
    since: str, client: Client, now_ms: int
) -> None:
    rows: list[tuple[float, ...]] = [(n / 200,) for n in range(200)]
    store(arrive("web-1"), layouts.learn([CPU]), now_ms, rows)
    asked = {"metric": CPU.metric, "from": since, "points": "5000"}
    started = time.monotonic()

    answer = client.get("/api/machines/web-1/history", asked)

    assert answer.status_code == 200, answer.content
    assert time.monotonic() - started < 30
    assert 0 < len(answer.json()["series"][0]["points"]) <= 5000


def test_more_points_than_that_cannot_be_asked_for(client: Client) -> None:
    arrive("web-1")
    asked = {"metric": CPU.metric, "from": "-1h", "points": "5001"}

    assert client.get("/api/machines/web-1/history", asked).status_code == 422


@pytest.mark.production_only
def test_where_people_wait_it_is_ended_after_five_seconds() -> None:
    usual = connection.settings_dict["OPTIONS"]["options"]
    # As daphne loads it.
    importlib.reload(importlib.import_module("hub.asgi"))
    fresh = connection.copy("people")
    try:
        with fresh.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("5s",)
    finally:
        fresh.close()
        fresh.close_pool()  # type: ignore[attr-defined]
        connection.settings_dict["OPTIONS"]["options"] = usual


@pytest.mark.parametrize("name", FORMULAS)
def test_nothing_is_told_as_a_table_for_a_spreadsheet(
    name: str, client: Client
) -> None:
    """A name that is a formula is one only there."""
    arrive(name)
    addresses = ["/api/machines", "/metrics/machines", reverse("web:overview")]
    wanted = {"Accept": "text/csv, application/vnd.ms-excel"}
    for address in addresses:
        for query in ("", "?format=csv", "?export=csv"):
            answer = client.get(address + query, headers=wanted)
            kind = answer["Content-Type"].partition(";")[0]
            assert kind in ("application/json", "text/plain", "text/html"), address
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "attachment" not in answer.headers.get("Content-Disposition", "")
