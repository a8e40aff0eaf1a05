from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import Client

from hub.api.tests.conftest import CPU, INTERVAL_S, LOAD, SAMPLES, arrive, store
from hub.machines.models import Machine
from hub.storage import layouts, states
from hub.storage.hot import get_hot
from hub.storage.layouts import SeriesInfo

pytestmark = pytest.mark.django_db

USED = "system.filesystem.utilization"
MOUNT = "system.filesystem.mountpoint"


def fetched(client: Client, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.content
    assert response["Content-Type"].startswith("application/json")
    assert "no-store" in response["Cache-Control"]
    assert b"NaN" not in response.content
    return response.json()


def history(client: Client, **query: Any) -> Any:
    query = {"metric": CPU.metric, "from": "-20m"} | query
    response = client.get("/api/machines/web-1/history", query)
    assert response.status_code == 200, response.content
    return response.json()


def at(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat().replace("+00:00", "Z")


class TestMachines:
    def test_there_may_be_none(self, client: Client) -> None:
        assert fetched(client, "/api/machines") == {"machines": []}

    def test_each_is_listed_with_how_it_is_doing(
        self, client: Client, web_1: Machine, odd: Machine, new: Machine
    ) -> None:
        machines = fetched(client, "/api/machines")["machines"]

        assert [(it["id"], it["presence"]) for it in machines] == [
            ("büro 50% a+b?#&", "offline"),
            ("new-1", "never"),
            ("web-1", "online"),
        ]

    def test_a_machine_is_described(
        self, client: Client, web_1: Machine, now_ms: int
    ) -> None:
        web_1.name = "Web server"
        web_1.save()

        [machine] = fetched(client, "/api/machines")["machines"]

        assert machine["summary"]["cpu"] == 0.12
        assert machine["summary"]["disk"] == 0.5
        assert machine["summary"]["disk_mount"] == "/"
        assert machine["summary"]["memory"] is None
        first_seen = machine.pop("first_seen")
        del machine["summary"]
        assert datetime.fromisoformat(first_seen) == web_1.first_seen
        assert machine == {
            "id": "web-1",
            "title": "Web server",
            "presence": "online",
            "seen": at(now_ms + 40),
            "time": at(now_ms),
            "os": "Debian GNU/Linux 12",
            "kernel": "6.1.0",
            "architecture": "x86_64",
            "agent_version": "0.1.0",
            "boot_time": at(1_795_000_000_000),
            "interval_s": 5,
        }

    def test_a_machine_without_samples_has_no_summary(
        self, client: Client, new: Machine
    ) -> None:
        [machine] = fetched(client, "/api/machines")["machines"]

        assert (machine["seen"], machine["time"], machine["summary"]) == (
            None,
            None,
            None,
        )

    def test_who_may_see_none_sees_none(
        self, client: Client, web_1: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One place decides who sees what, for every address."""
        asked: list[User] = []

        def nothing(user: User) -> Any:
            asked.append(user)
            return Machine.objects.none()

        monkeypatch.setattr("hub.machines.registry.visible_to", nothing)

        assert fetched(client, "/api/machines") == {"machines": []}
        for rest in ("metrics", f"history?metric={CPU.metric}"):
            assert client.get(f"/api/machines/web-1/{rest}").status_code == 404
        assert [user.username for user in asked] == ["ada"] * 3


@pytest.mark.parametrize(("layout", "size"), [(2**31 - 1, 5), (None, 4)])
def test_a_sample_that_nobody_can_read_is_not_shown(
    client: Client, web_1: Machine, now_ms: int, layout: int | None, size: int
) -> None:
    known = states.latest([web_1])[web_1.pk]
    strange = known._replace(
        layout=layout or known.layout,
        time_ms=known.time_ms + 1,
        values=bytes(4 * size),
    )
    get_hot().put([strange])

    [machine] = fetched(client, "/api/machines")["machines"]
    current = fetched(client, "/api/machines/web-1/metrics")

    assert (machine["presence"], machine["summary"]) == ("online", None)
    assert current["readings"] == []


class TestCurrent:
    def test_every_reading_is_there_with_its_unit(
        self, client: Client, web_1: Machine, now_ms: int
    ) -> None:
        current = fetched(client, "/api/machines/web-1/metrics")

        assert current == {
            "id": "web-1",
            "title": "web-1",
            "presence": "online",
            "seen": at(now_ms + 40),
            "time": at(now_ms),
            "readings": [
                reading(CPU.metric, "1", {}, 0.12),
                reading(USED, "1", {MOUNT: "/"}, 0.5),
                reading(USED, "1", {MOUNT: "/data"}, None),
                reading(LOAD.metric, "{task}", {}, 1.25),
                reading("hw.temperature", "Cel", {"sensor": "a:b"}, 61),
            ],
        }

    def test_a_machine_without_samples_has_no_readings(
        self, client: Client, new: Machine
    ) -> None:
        current = fetched(client, "/api/machines/new-1/metrics")

        assert (current["presence"], current["readings"]) == ("never", [])

    def test_a_machine_is_found_by_an_escaped_name(
        self, client: Client, odd: Machine
    ) -> None:
        path = f"/api/machines/{quote(odd.machine_id, safe='')}"

        current = fetched(client, f"{path}/metrics")
        past = fetched(client, f"{path}/history?metric={LOAD.metric}&from=-2h")

        assert current["id"] == past["id"] == odd.machine_id
        assert current["readings"] == [reading(LOAD.metric, "{task}", {}, 2.5)]
        assert [point["avg"] for point in past["series"][0]["points"]] == [2.5]

    @pytest.mark.parametrize("name", ["web-2", "WEB-1", "web-1%00", "%00", "a" * 500])
    @pytest.mark.parametrize("rest", ["metrics", "history?metric=m"])
    def test_an_unknown_machine_is_said_to_be_unknown(
        self, client: Client, web_1: Machine, name: str, rest: str
    ) -> None:
        response = client.get(f"/api/machines/{name}/{rest}")

        assert response.status_code == 404
        assert response.json()["error"].startswith("There is no machine named '")


class TestHistory:
    def test_it_is_described(self, client: Client, web_1: Machine) -> None:
        said = history(client)

        [part] = said.pop("parts")
        assert part == {"tier": "raw", "from": said["from"], "to": said["to"]}
        del said["series"], said["from"], said["to"]
        assert said == {
            "id": "web-1",
            "metric": "system.cpu.utilization",
            "unit": "1",
            "kind": "gauge",
            "help": "Share of time busy.",
            "tier": "raw",
            "step_s": 5,
        }

    def test_every_sample_is_a_point_while_points_allow(
        self, client: Client, web_1: Machine, now_ms: int
    ) -> None:
        [series] = history(client)["series"]

        points = series["points"]
        assert series["attributes"] == {}
        assert [point["t"] for point in points] == [
            (now_ms - n * INTERVAL_S * 1000) / 1000 for n in reversed(range(SAMPLES))
        ]
        # Shortest decimals, not 32-bit floats spelt out in 64 bits.
        assert points[0] == {
            "t": points[0]["t"],
            "min": 0.001,
            "avg": 0.001,
            "max": 0.001,
        }
        assert points[-1]["avg"] == 0.12

    def test_fewer_points_stand_for_more_samples(
        self, client: Client, web_1: Machine
    ) -> None:
        said = history(client, points=10)

        [series] = said["series"]
        assert said["step_s"] >= 120
        assert 1 <= len(series["points"]) <= 10
        for point in series["points"]:
            assert 0.001 <= point["min"] <= point["avg"] <= point["max"] <= 0.12
        assert any(point["min"] < point["max"] for point in series["points"])
        for before, after in pairwise(series["points"]):
            assert (after["t"] - before["t"]) % said["step_s"] == 0
            assert after["avg"] > before["avg"]

    def test_the_span_is_half_open(
        self, client: Client, web_1: Machine, now_ms: int
    ) -> None:
        start, end = (at(now_ms - n * 1000 * INTERVAL_S) for n in (3, 1))

        [series] = history(client, **{"from": start, "to": end})["series"]

        assert [point["avg"] for point in series["points"]] == [0.117, 0.118]

    def test_without_a_span_it_is_the_last_hour(
        self, client: Client, web_1: Machine
    ) -> None:
        said = fetched(client, f"/api/machines/web-1/history?metric={CPU.metric}")

        start, end = (datetime.fromisoformat(said[name]) for name in ("from", "to"))
        # Widened to whole steps.
        assert 3600 <= (end - start).total_seconds() <= 3600 + 2 * said["step_s"]
        assert abs((datetime.now(UTC) - end).total_seconds()) <= 10 + said["step_s"]

    def test_a_series_without_a_reading_is_absent(
        self, client: Client, web_1: Machine
    ) -> None:
        series = history(client, metric=USED)["series"]

        assert [it["attributes"] for it in series] == [{MOUNT: "/"}]

    @pytest.mark.parametrize(
        ("attr", "found"),
        [
            ([], 3),
            (["cpu:0"], 2),
            (["cpu:0", "mode:user"], 1),
            (["cpu:7"], 0),
            (["core:0"], 0),
        ],
    )
    def test_series_are_chosen_by_attributes(
        self, client: Client, now_ms: int, attr: list[str], found: int
    ) -> None:
        series = [
            SeriesInfo("t", "s", "counter", "", (("cpu", cpu), ("mode", mode)))
            for cpu, mode in (("0", "system"), ("0", "user"), ("1", "user"))
        ]
        store(arrive("web-1"), layouts.learn(series), now_ms, [(1, 2, 3)])

        assert len(history(client, metric="t", attr=attr)["series"]) == found

    def test_an_attribute_may_hold_a_colon(
        self, client: Client, web_1: Machine
    ) -> None:
        said = history(client, metric="hw.temperature", attr="sensor:a:b")

        assert [it["attributes"] for it in said["series"]] == [{"sensor": "a:b"}]

    def test_a_span_without_samples_has_no_series(
        self, client: Client, web_1: Machine
    ) -> None:
        assert history(client, **{"from": "-5h", "to": "-4h"})["series"] == []

    @pytest.mark.parametrize("name", ["system.cpu", "%00"])
    def test_an_unknown_metric_is_said_to_be_unknown(
        self, client: Client, web_1: Machine, name: str
    ) -> None:
        response = client.get(f"/api/machines/web-1/history?metric={name}")

        assert response.status_code == 404
        assert response.json()["error"].startswith("There is no metric named '")

    def test_too_many_points_at_once_are_refused(
        self, client: Client, now_ms: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        series = [
            SeriesInfo("t", "s", "counter", "", (("cpu", str(cpu)),))
            for cpu in range(20)
        ]
        store(arrive("web-1"), layouts.learn(series), now_ms, [(1.0,) * 20] * 10)
        monkeypatch.setattr("hub.api.machines.MAX_POINTS", 199)

        response = client.get("/api/machines/web-1/history?metric=t&from=-20m")

        assert response.status_code == 422
        assert response.json()["error"].startswith("points: 20 series have more than")


def reading(
    metric: str, unit: str, attributes: dict[str, str], value: float | None
) -> dict[str, Any]:
    return {"metric": metric, "unit": unit, "attributes": attributes, "value": value}
