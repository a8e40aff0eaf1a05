from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from hub.alerts.models import Alert, Rule
from hub.api.tests.conftest import program
from hub.machines.models import Machine
from hub.people.models import Scope

pytestmark = pytest.mark.django_db

KNOWN = {"system.filesystem.mountpoint": "/data"}


@pytest.fixture
def alert(web_1: Machine) -> Alert:
    rule = Rule.objects.create(name="Disk", metric="system.filesystem.utilization")
    return opened(rule, web_1)


def opened(rule: Rule, machine: Machine, **more: Any) -> Alert:
    at = timezone.now()
    fields = {
        "snapshot": rule.snapshot(),
        "machine_title": machine.title,
        "metric": rule.metric,
        "attributes": KNOWN,
        "series_key": f"{Alert.objects.count()}",
        "severity": "critical",
        "peak_severity": "critical",
        "opened_at": at,
        "changed_at": at,
        "value": 0.96,
        "samples": [[1_790_000_000_000, 0.9], [1_790_000_005_000, None]],
    }
    return Alert.objects.create(rule=rule, machine=machine, **fields | more)


def post(client: Client, path: str, **said: Any) -> Any:
    return client.post(path, said, content_type="application/json")


def test_an_open_alert_is_listed_with_all_that_a_program_needs(
    client: Client, alert: Alert
) -> None:
    told = client.get("/api/alerts").json()

    [one] = told["alerts"]
    assert (one["id"], one["machine"], one["rule_name"]) == (alert.pk, "web-1", "Disk")
    assert (one["state"], one["severity"], one["unit"]) == ("firing", "critical", "1")
    assert (one["attributes"], one["value"], one["muted"]) == (KNOWN, 0.96, "")
    assert told["after"] == ""


def test_the_list_is_filtered_and_goes_on(
    client: Client, alert: Alert, web_1: Machine
) -> None:
    assert alert.rule
    at = timezone.now() - timedelta(hours=1)
    for number in range(3):
        opened(
            alert.rule,
            web_1,
            state="resolved",
            resolved_at=at,
            opened_at=at - timedelta(minutes=number),
        )

    def listed(**query: Any) -> list[str]:
        answer = client.get("/api/alerts", query)
        assert answer.status_code == 200, answer.content
        return [one["state"] for one in answer.json()["alerts"]]

    assert listed(state="firing") == ["firing"]
    assert listed(q="web-1 disk") == ["firing"] + ["resolved"] * 3
    assert listed(machine="other") == []
    first = client.get("/api/alerts", {"limit": 3}).json()
    assert len(first["alerts"]) == 3
    assert listed(limit=3, after=first["after"]) == ["resolved"]
    assert client.get("/api/alerts", {"after": "x"}).status_code == 422


def test_one_alert_has_its_samples_and_its_rule(client: Client, alert: Alert) -> None:
    told = client.get(f"/api/alerts/{alert.pk}").json()

    assert told["samples"] == [[1_790_000_000_000, 0.9], [1_790_000_005_000, None]]
    assert told["snapshot"]["name"] == "Disk"
    assert (told["told"], told["processes"]) == ([], [])
    assert client.get("/api/alerts/9999").status_code == 404


def test_an_operator_acknowledges_and_takes_it_back(
    operator: Client, alert: Alert
) -> None:
    path = f"/api/alerts/{alert.pk}/acknowledge"

    done = post(operator, path, note="on it").json()
    assert (done["acknowledged_by"], done["acknowledged_note"]) == ("ada", "on it")

    undone = operator.delete(path).json()
    assert (undone["acknowledged_by"], undone["acknowledged_note"]) == (None, "")


def test_an_operator_silences_and_lifts(operator: Client, alert: Alert) -> None:
    path = f"/api/alerts/{alert.pk}/silence"

    assert "Silenced until 20" in post(operator, path, seconds=600).json()["muted"]
    assert operator.delete(path).json()["muted"] == ""
    assert "it is resolved" in post(operator, path, seconds=None).json()["muted"]
    assert post(operator, path, seconds=1).status_code == 422


@pytest.mark.parametrize("what", ["acknowledge", "silence"])
def test_a_token_that_only_reads_may_not_answer(
    what: str, operator: Client, user: User, alert: Alert
) -> None:
    answer = post(program(user, Scope.READ), f"/api/alerts/{alert.pk}/{what}")

    assert answer.status_code == 403
    assert "may only read" in answer.json()["error"]


def test_a_scope_is_no_role(user: User, alert: Alert) -> None:
    answer = post(program(user, Scope.OPERATE), f"/api/alerts/{alert.pk}/acknowledge")

    assert answer.status_code == 403
    assert "operator" in answer.json()["error"]


def test_a_browser_needs_its_own_token_to_answer(
    operator: Client, user: User, alert: Alert
) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)

    answer = post(browser, f"/api/alerts/{alert.pk}/acknowledge")

    assert answer.status_code == 403
    alert.refresh_from_db()
    assert alert.acknowledged_at is None


def test_what_is_over_cannot_be_answered(operator: Client, alert: Alert) -> None:
    alert.state = Alert.Status.RESOLVED
    alert.save()

    answer = post(operator, f"/api/alerts/{alert.pk}/acknowledge")

    assert answer.status_code == 409
    assert "over" in answer.json()["error"]


def test_strangers_see_nothing(alert: Alert) -> None:
    for path in ("/api/alerts", f"/api/alerts/{alert.pk}", "/api/rules"):
        assert Client().get(path).status_code == 401
