"""Who may not: contacts, messages, rules and alerts, seen by those who try."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hub.alerts.models import (
    Alert,
    Attempt,
    Chapter,
    Contact,
    Culprit,
    Delivery,
    Notice,
    Route,
    Rule,
)
from hub.alerts.tests.office import contact, made
from hub.alerts.tests.scenes import CPU, disk, series
from hub.alerts.tests.test_forms import SAID
from hub.people.models import AuditEntry
from hub.storage import layouts

pytestmark = pytest.mark.django_db

URL = "https://198.41.0.4/hook/T0KEN-OF-MINE"
SECRET = "a-long-shared-secret"
HOSTILE = "<img src=x onerror=alert(1)>{{7*7}}{machine.pk}\r\nBcc: a@example.org\u202e"
ADMIN = ("contact", "delivery", "rule", "route", "silence", "maintenance", "alert")


def signed_in(role: str = "", **said: Any) -> Client:
    user = User.objects.create_user(f"{role or 'staff'}-user", **said)
    if role:
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    client = Client()
    client.force_login(user)
    return client


def told_of() -> tuple[Alert, Contact]:
    """Return an alert of which a contact with a secret address was told."""
    to = contact("pager")
    to.reach(URL)
    to.sign_with(SECRET)
    to.save()
    alert = made("db-1", "critical", timezone.now())
    alert.save()
    now = timezone.now()
    delivery = Delivery.objects.create(contact=to, state="dead", due_at=now)
    Notice.objects.create(alert=alert, contact=to, delivery=delivery, what="opened")
    Attempt.objects.create(
        delivery=delivery, number=1, result="failed", said="The receiver answered 503."
    )
    return alert, to


# -- S15: another's targets and tokens


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_nobody_but_an_administrator_opens_contacts(role: str) -> None:
    _, to = told_of()
    client = signed_in(role)

    pages = [reverse(f"admin:alerts_{name}_changelist") for name in ADMIN]
    pages.append(reverse("admin:alerts_contact_change", args=[to.pk]))
    for page in pages:
        answer = client.get(page)
        assert answer.status_code in (302, 403), page
        assert "T0KEN" not in answer.content.decode()


@pytest.mark.parametrize("role", ["viewer", "operator", "administrator"])
def test_what_is_told_of_a_message_holds_no_address_and_no_secret(role: str) -> None:
    alert, to = told_of()
    client = signed_in(role)

    shown = [
        client.get(f"/alerts/{alert.pk}/").content.decode(),
        client.get(f"/api/alerts/{alert.pk}").content.decode(),
        client.get("/api/alerts").content.decode(),
        client.get("/hub/").content.decode(),
        client.get(reverse("admin:alerts_delivery_changelist")).content.decode(),
        client.get(
            reverse("admin:alerts_contact_change", args=[to.pk])
        ).content.decode(),
    ]

    assert "pager" in shown[0]
    assert "pager" in shown[1]
    for page in shown:
        assert "T0KEN" not in page
        assert SECRET not in page


def test_a_viewer_cannot_try_dead_messages_again_and_an_operator_can() -> None:
    told_of()

    assert signed_in("viewer").post("/hub/try-again").status_code == 403
    assert Delivery.objects.get().state == "dead"
    assert signed_in("operator").post("/hub/try-again").status_code == 200
    assert Delivery.objects.get().state == "waiting"
    assert AuditEntry.objects.filter(action="messages.tried_again").exists()


# -- S23: text of others


def test_a_hostile_name_is_text_on_every_page_of_alerts() -> None:
    layouts.learn([series(CPU), disk("/data")])
    rule = Rule.objects.create(name=HOSTILE[:100], metric=CPU, warning=0.8)
    alert = made("db-1", "critical", timezone.now())
    alert.rule, alert.snapshot = rule, rule.snapshot() | {"note": HOSTILE}
    alert.machine_title = HOSTILE[:60]
    alert.resolved_why = HOSTILE
    alert.save()
    alert.machine.name = HOSTILE[:60]  # type: ignore[union-attr]
    alert.machine.save()  # type: ignore[union-attr]
    Chapter.objects.create(alert=alert, what="noted", by_name=HOSTILE, said=HOSTILE)
    Culprit.objects.create(
        alert=alert,
        taken_at=timezone.now(),
        span_ms=1000,
        ranked_by="cpu",
        distance_ms=0,
        entries=[],
    )
    boss = signed_in("administrator", is_staff=True, is_superuser=True)

    for path in (
        f"/alerts/{alert.pk}/",
        "/alerts/",
        "/alerts/?show=history",
        reverse("admin:alerts_rule_changelist"),
        reverse("admin:alerts_rule_change", args=[rule.pk]),
        reverse("admin:alerts_alert_changelist"),
        reverse("admin:alerts_alert_change", args=[alert.pk]),
    ):
        answer = boss.get(path)
        html = answer.content.decode()
        assert answer.status_code == 200, path
        assert "<img src=x" not in html, path
        assert "49" not in re.findall(r"alert\(1\)&gt;(\d*)", html), path
        policy = answer["Content-Security-Policy"]
        assert "'unsafe-inline'" not in policy, path
        assert "object-src 'none'" in policy, path


def test_the_back_test_of_a_hostile_machine_is_text() -> None:
    layouts.learn([series(CPU), disk("/data")])
    made(HOSTILE[:40], "warning", timezone.now())
    boss = signed_in("administrator", is_staff=True, is_superuser=True)

    answer = boss.post(
        reverse("admin:alerts_back_test"), SAID | {"name": HOSTILE, "warning": HOSTILE}
    )

    assert answer.status_code == 200
    assert "<img src=x" not in answer.content.decode()
    assert "&lt;img" in answer.content.decode()


# -- S26: an admin page gives no more than its form


def staff_with(*names: str) -> Client:
    client = signed_in(is_staff=True)
    user = User.objects.get(username="staff-user")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return client


def test_fields_that_are_not_in_the_form_are_not_taken() -> None:
    layouts.learn([series(CPU), disk("/data")])
    boss = signed_in("administrator", is_staff=True, is_superuser=True)
    other = Rule.objects.create(name="other", metric=CPU, warning=0.8)
    posted = SAID | {
        "pk": str(other.pk),
        "id": str(other.pk),
        "built_in": "cpu-busy",
        "created_at": "2000-01-01",
        "updated_at": "2000-01-01",
    }

    assert boss.post(reverse("admin:alerts_rule_add"), posted).status_code == 302

    new = Rule.objects.latest("pk")
    other.refresh_from_db()
    assert new.pk != other.pk
    assert other.name == "other"
    assert new.built_in == ""
    assert new.created_at > timezone.now() - timedelta(minutes=1)


def test_who_may_only_look_changes_nothing_by_list_or_form() -> None:
    """The list can be edited by those who may: a form posted by others is refused."""
    looks = staff_with("view_route", "view_rule", "view_contact")
    route = Route.objects.create(name="nights", position=1)
    rule = Rule.objects.create(name="mine", metric=CPU, warning=0.8)
    listed = {
        "form-TOTAL_FORMS": "1",
        "form-INITIAL_FORMS": "1",
        "form-0-id": str(route.pk),
        "form-0-position": "9",
        "_save": "Save",
    }

    said = [
        looks.post(reverse("admin:alerts_route_changelist"), listed),
        looks.post(
            reverse("admin:alerts_route_change", args=[route.pk]), {"name": "other"}
        ),
        looks.post(reverse("admin:alerts_rule_change", args=[rule.pk]), SAID),
        looks.post(reverse("admin:alerts_rule_add"), SAID),
        looks.post(
            reverse("admin:alerts_rule_changelist"),
            {"action": "disable", "_selected_action": [str(rule.pk)]},
        ),
        looks.post(reverse("admin:alerts_defaults")),
    ]

    assert all(one.status_code in (200, 302, 403) for one in said)
    route.refresh_from_db()
    rule.refresh_from_db()
    assert (route.name, route.position) == ("nights", 1)
    assert (rule.name, rule.enabled) == ("mine", True)
    assert not Rule.objects.filter(enabled=True).exclude(pk=rule.pk).exists()


def test_the_ledger_and_the_story_are_written_by_nobody() -> None:
    alert, _ = told_of()
    delivery = Delivery.objects.get()
    boss = signed_in("administrator", is_staff=True, is_superuser=True)

    for path in (
        reverse("admin:alerts_delivery_add"),
        reverse("admin:alerts_delivery_delete", args=[delivery.pk]),
        reverse("admin:alerts_alert_add"),
        reverse("admin:alerts_alert_delete", args=[alert.pk]),
    ):
        assert boss.post(path, {"post": "yes"}).status_code == 403, path
    assert Delivery.objects.exists()
    assert Alert.objects.exists()


def test_every_write_of_the_admin_is_in_the_audit_log_without_its_secrets() -> None:
    layouts.learn([series(CPU), disk("/data")])
    boss = signed_in("administrator", is_staff=True, is_superuser=True)
    boss.post(reverse("admin:alerts_rule_add"), SAID)
    fields = {"name": "ops", "enabled": "on", "kind": "webhook", "zone": "UTC"}
    boss.post(
        reverse("admin:alerts_contact_add"), fields | {"address": URL, "secret": SECRET}
    )
    to = Contact.objects.get()
    boss.post(
        reverse("admin:alerts_contact_change", args=[to.pk]),
        fields | {"name": "others", "address": URL + "2"},
    )

    noted = list(AuditEntry.objects.values_list("action", "by_name", "detail"))
    actions = {action for action, _, _ in noted}
    assert actions == {"contact.changed", "contact.made", "rule.made"}
    assert {name for _, name, _ in noted} == {"administrator-user"}
    assert "T0KEN" not in str(noted)
    assert SECRET not in str(noted)
