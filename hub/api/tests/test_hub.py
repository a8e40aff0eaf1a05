from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict

import orjson
import pytest
from django.test import Client

from hub.health.prober import SHELF_NAME
from hub.health.shelf import MemoryShelf, get_shelf, set_shelf
from hub.health.stages import Status

# Each dependency is asked in a thread of its own.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_shelf() -> Iterator[None]:
    set_shelf(MemoryShelf())
    yield
    set_shelf(None)


def tell(commit: float | None) -> None:
    now_ms = time.time_ns() // 1_000_000
    seconds = {"commit": commit, "event": 0.05, "frame": 0.09}
    status = Status(now_ms, seconds, None, None if commit else now_ms)
    get_shelf().put(SHELF_NAME, orjson.dumps(asdict(status)), lifetime_s=60)


def test_without_a_prober_nobody_knows(client: Client) -> None:
    found = client.get("/api/hub").json()

    assert (found["state"], found["late"], found["tested"]) == ("unknown", None, None)
    assert [stage["stage"] for stage in found["stages"]] == ["commit", "event", "frame"]
    assert {stage["p99_s"] for stage in found["stages"]} == {None}


def test_a_hub_on_time_is_well(client: Client) -> None:
    tell(0.04)

    found = client.get("/api/hub").json()

    assert (found["state"], found["sentence"]) == ("well", "")
    assert [stage["last_s"] for stage in found["stages"]] == [0.04, 0.05, 0.09]
    assert found["tested"].endswith("Z")


def test_a_late_hub_says_what_is_late_and_since_when(client: Client) -> None:
    tell(None)

    found = client.get("/api/hub").json()

    assert (found["state"], found["late"]) == ("late", "storing")
    assert found["sentence"].startswith("The hub is late")
    assert found["late_since"] == found["tested"]
    assert found["stages"][0]["last_s"] is None


def test_dependencies_and_this_process_are_told(client: Client) -> None:
    found = client.get("/api/hub").json()

    assert {one["state"] for one in found["dependencies"].values()} == {"ok"}
    [process] = found["processes"]
    assert process["figures"]["process_resident_memory_bytes"] > 1e6
    assert process["figures"]["sysmonstm_event_lag_seconds"].keys() == {
        "count",
        "p50",
        "p99",
    }


def test_strangers_are_told_nothing() -> None:
    assert Client().get("/api/hub").status_code == 401
