from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from hub.alerts.models import Rule
from hub.api.tests.conftest import program
from hub.machines.models import Machine, Tag
from hub.people.models import Scope

pytestmark = pytest.mark.django_db

DISK = {
    "name": "Disk",
    "metric": "system.filesystem.utilization",
    "matchers": "mountpoint=/data, type!=tmpfs",
    "operator": "gte",
    "warning": 0.9,
    "critical": 0.95,
    "for_s": 60,
}


@pytest.fixture(autouse=True)
def _no_defaults(db: None) -> None:
    Rule.objects.all().delete()


def send(client: Client, method: str, path: str, **said: Any) -> Any:
    return getattr(client, method)(path, said, content_type="application/json")


def test_a_rule_is_made_read_changed_and_deleted(
    operator: Client,
    web_1: Machine,
) -> None:
    Tag.objects.create(name="db")

    made = send(operator, "post", "/api/rules", **DISK)
    assert made.status_code == 201, made.content
    path = f"/api/rules/{made.json()['id']}"
    told = operator.get(path).json()
    assert told["matchers"] == "mountpoint=/data, type!=tmpfs"
    assert (told["warning"], told["unit"], told["enabled"]) == (0.9, "1", True)

    changed = send(
        operator, "patch", path, scope="tags", tags=["db"], machines=["web-1"]
    ).json()
    assert (changed["tags"], changed["machines"]) == (["db"], ["web-1"])
    assert (changed["critical"], changed["for_s"]) == (0.95, 60)
    assert send(operator, "patch", path, critical=None).json()["critical"] is None

    assert [one["name"] for one in operator.get("/api/rules").json()["rules"]] == [
        "Disk"
    ]
    assert operator.delete(path).status_code == 204
    assert operator.get(path).status_code == 404
    flags = LogEntry.objects.order_by("pk").values_list("action_flag", flat=True)
    assert list(flags) == [1, 2, 2, 3]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"warning": None, "critical": None}, "Give a warning threshold"),
        ({"critical": 0.5}, "critical: The critical threshold must be above"),
        ({"matchers": "nonsense"}, "matchers: “nonsense” has no = sign"),
        ({"runbook_url": "javascript:x"}, "runbook_url: The runbook must be"),
        ({"note": "{nobody}"}, "note: There is no placeholder {nobody}"),
        ({"tags": ["unknown"]}, "tags: There is none named 'unknown'"),
        ({"machines": ["unknown"]}, "machines: There is none named 'unknown'"),
        ({"metric": None}, "metric: It cannot be null"),
        ({"for_s": 1e9}, "for_s: At most a day"),
        ({"operator": "odd"}, "operator: "),
        ({"name": "a\0b"}, "name: It must not contain NUL"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_sentence(
    wrong: dict[str, Any],
    said: str,
    operator: Client,
    web_1: Machine,
) -> None:
    answer = send(operator, "post", "/api/rules", **DISK | wrong)

    assert answer.status_code == 422, answer.content
    assert said in answer.json()["error"]
    assert not Rule.objects.exists()


def test_two_rules_of_one_name_cannot_be(
    operator: Client,
    web_1: Machine,
) -> None:
    send(operator, "post", "/api/rules", **DISK)

    answer = send(operator, "post", "/api/rules", **DISK)

    assert answer.status_code == 422
    assert answer.json()["error"].startswith("name: ")


def test_reading_is_for_all_and_writing_for_operators(
    client: Client, user: User, web_1: Machine
) -> None:
    rule = Rule.objects.create(name="Disk", metric="m", warning=1)
    path = f"/api/rules/{rule.pk}"
    assert client.get(path).status_code == 200
    user.is_staff = True
    user.save()

    for writer in (client, program(user, Scope.READ)):
        assert send(writer, "post", "/api/rules", **DISK).status_code == 403
        assert send(writer, "patch", path, enabled=False).status_code == 403
        assert writer.delete(path).status_code == 403
    assert Rule.objects.get().enabled
