"""Test samples in a real hub: seen on its page, and late when a stage is held up."""

from __future__ import annotations

import http.cookiejar
import json
import re
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from hub.health.stages import DEADLINE_S
from hub.testing.hubs import READY_S, Embedded, embedded, event, production

pytestmark = [pytest.mark.process, pytest.mark.lasts]

# What the page promises after a start; the tests' machine may be busy.
NUMBERS_S = 120
# A round begins within its interval, and has no answer until its deadline.
LATE_S = 2 * DEADLINE_S + 60


class Person:
    """Somebody who has signed in, without a browser."""

    def __init__(self, web: str, link: str) -> None:
        self._web = web
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)
        # As a browser says of a link that was clicked in a terminal.
        self._opener.addheaders.append(("Sec-Fetch-Site", "none"))
        self._opener.open(link, timeout=60).close()

    def get(self, path: str) -> str:
        with self._opener.open(f"{self._web}{path}", timeout=60) as response:
            return str(response.read().decode())

    def hub(self) -> dict[str, Any]:
        return dict(json.loads(self.get("/api/hub")))

    def wait_for(
        self, wanted: Callable[[dict[str, Any]], bool], *, within_s: float
    ) -> dict[str, Any]:
        deadline = time.monotonic() + within_s
        while not wanted(found := self.hub()):
            assert time.monotonic() < deadline, found
            time.sleep(0.5)
        return found


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Embedded]:
    with embedded(tmp_path / "var") as running_hub:
        yield running_hub


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the database's one write lock, as a slow backup would."""
    connection = sqlite3.connect(folder / "sysmonstm.sqlite3", isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def test_the_hub_times_itself_and_says_when_it_is_late(
    hub: Embedded, tmp_path: Path
) -> None:
    person = Person(hub.web, hub.link)

    # Numbers come by themselves: of the last test at once, then of the hour.
    found = person.wait_for(
        lambda found: all(stage["count"] for stage in found["stages"]),
        within_s=NUMBERS_S,
    )
    assert found["state"] == "well"
    for stage in found["stages"]:
        assert 0 < stage["last_s"] < DEADLINE_S
        assert 0 < stage["p50_s"] <= stage["p99_s"] < DEADLINE_S
    page = person.get("/hub/")
    assert "On time" in page
    assert "1 test<" in page
    assert person.get("/hub/bar").strip() == ""

    # It is no machine of anybody's.
    machines = json.loads(person.get("/api/machines"))["machines"]
    assert "_canary" not in {machine["id"] for machine in machines}
    assert "_canary" not in person.get("/")
    assert "_canary" not in person.get("/metrics/machines")

    with locked(tmp_path / "var"):
        found = person.wait_for(lambda found: found["state"] == "late", within_s=LATE_S)
        bar = person.get("/hub/bar")

    assert found["late"] == "storing"
    # Worse than being late, and said instead.
    assert "Nothing is stored" in bar
    assert found["late_since"] is not None
    assert event(hub.process, "hub.late")["what"] == "storing"

    person.wait_for(lambda found: found["state"] == "well", within_s=LATE_S)
    assert person.get("/hub/bar").strip() == ""
    metrics = person.get("/metrics")
    assert "sysmonstm_canary_unanswered_total{" in metrics


def test_several_processes_are_timed_and_counted_as_one_hub(tmp_path: Path) -> None:
    with production(tmp_path, is_new=False) as hub, ExitStack() as stack:
        web = f"http://127.0.0.1:{hub.http_port}"
        grpc = f"127.0.0.1:{hub.grpc_port}"
        started = {
            name: stack.enter_context(hub.run(name)) for name in ("grpcserve", "web")
        }
        started["grpcserve"].wait_for_port(hub.grpc_port, within_s=READY_S)
        started["web"].wait_for_port(hub.http_port, within_s=READY_S)
        said = hub.finish("web", "python", "manage.py", "signinlink")
        [link] = re.findall(r"/sign-in/link/\S+", said)
        person = Person(web, f"{web}{link}")
        assert person.hub()["state"] == "unknown"

        command = ("python", "manage.py", "probe", f"--grpc={grpc}", f"--web={web}")
        prober = stack.enter_context(hub.run("probe", *command))
        found = person.wait_for(
            lambda found: all(stage["count"] for stage in found["stages"]),
            within_s=NUMBERS_S,
        )
        assert found["state"] == "well"
        person.wait_for(
            lambda found: (
                {one["role"] for one in found["processes"]}
                == {"web", "grpcserve", "probe"}
            ),
            within_s=NUMBERS_S,
        )
        metrics = person.get("/metrics")
        for name, process in (
            ("sysmonstm_samples_stored_total", "grpcserve"),
            ("sysmonstm_sockets", "web"),
            ("sysmonstm_canary_duration_seconds_count", "probe"),
        ):
            assert re.search(rf'^{name}{{.*process="{process}"', metrics, re.M), name
        kind, *check = hub.services["probe"]["healthcheck"]["test"]
        assert kind == "CMD"
        hub.finish("probe", *check)

        assert prober.stop() == 0
        for name in ("grpcserve", "web"):
            assert started[name].stop(within_s=hub.grace_s(name)) == 0
        for ended in (prober, *started.values()):
            said = ended.output()
            assert "Traceback" not in said, said[said.index("Traceback") - 500 :]
            assert "pending" not in ended.output()
