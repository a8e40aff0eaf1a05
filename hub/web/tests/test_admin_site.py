"""The admin: who gets in, what they may change, what is written down of it."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from hub.alerts.models import Contact, Rule
from hub.machines.models import Machine, Sight, Tag
from hub.people import second, tokens
from hub.people.models import ApiToken, AuditEntry
from hub.people.roles import Role

pytestmark = pytest.mark.django_db


def somebody(name: str, *permissions: str, **more: object) -> Client:
    user = User.objects.create_user(name, **more)  # type: ignore[arg-type]
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def administrator() -> Client:
    """By the group alone, as the provider's groups make one."""
    client = somebody("ada")
    group, _ = Group.objects.get_or_create(name=Role.ADMINISTRATOR.value)
    User.objects.get(username="ada").groups.add(group)
    return client


def test_administrators_by_their_group_may_everything(administrator: Client) -> None:
    names = [
        *("auth_user", "auth_group", "people_apitoken", "people_auditentry"),
        *("machines_sight", "machines_machine", "alerts_rule", "alerts_contact"),
    ]

    for name in names:
        address = reverse(f"admin:{name}_changelist")
        assert administrator.get(address).status_code == 200, name


def test_staff_sees_what_it_was_given_and_no_people() -> None:
    staff = somebody(
        "staff",
        *("alerts.view_rule", "auth.view_user", "auth.change_user"),
        *("people.view_auditentry", "people.view_apitoken", "machines.change_sight"),
        is_staff=True,
    )

    assert staff.get(reverse("admin:alerts_rule_changelist")).status_code == 200
    for name in (
        "auth_user",
        "auth_group",
        "people_auditentry",
        "people_apitoken",
        "machines_sight",
        "alerts_contact",
    ):
        address = reverse(f"admin:{name}_changelist")
        assert staff.get(address).status_code == 403, name


def test_staff_makes_no_administrator_of_itself() -> None:
    staff = somebody("staff", "auth.change_user", "auth.view_user", is_staff=True)
    user = User.objects.get()
    said = {"username": "staff", "is_superuser": "on", "is_staff": "on"}

    answer = staff.post(reverse("admin:auth_user_change", args=[user.pk]), said)

    assert answer.status_code == 403
    user.refresh_from_db()
    assert not user.is_superuser


def test_whoever_is_limited_has_no_business_here() -> None:
    staff = somebody("staff", "machines.view_machine", is_staff=True)
    address = reverse("admin:machines_machine_changelist")
    assert staff.get(address).status_code == 200

    Sight.objects.create(user=User.objects.get())

    assert staff.get(address).status_code == 302


def test_fields_that_are_only_shown_are_not_written(administrator: Client) -> None:
    web = Machine.objects.create(machine_id="web", os="Debian")
    said = {"name": "Web", "machine_id": "db", "os": "x", "agent_version": "x"}

    administrator.post(reverse("admin:machines_machine_change", args=[web.pk]), said)

    web.refresh_from_db()
    assert (web.name, web.machine_id, web.os) == ("Web", "web", "Debian")


def test_a_machine_is_told_in_words_and_not_in_the_names_of_columns(
    administrator: Client, fleet: list[Machine]
) -> None:
    address = f"/admin/machines/machine/{fleet[0].pk}/change/"
    body = administrator.get(address).content.decode()

    assert re.findall("<label[^>]*>(.*?):?</label>", body)[2:4] == ["Machine", "System"]
    assert "Users and groups" in body


def test_lists_change_nothing_that_is_posted_to_them(administrator: Client) -> None:
    """What the lists show is not editable there, whatever is posted."""
    rule = Rule.objects.create(name="Disk", metric="m", enabled=False)
    said = {
        "form-TOTAL_FORMS": "1",
        "form-INITIAL_FORMS": "1",
        "form-0-id": str(rule.pk),
        "form-0-enabled": "on",
        "_save": "Save",
    }

    administrator.post(reverse("admin:alerts_rule_changelist"), said)

    rule.refresh_from_db()
    assert not rule.enabled


def test_no_secret_is_shown(administrator: Client) -> None:
    ada = User.objects.get()
    ada.set_password("correct horse")
    ada.save()
    administrator.force_login(ada)
    secret = tokens.create("grafana", ada)
    codes = second.new_recovery_codes(ada)
    contact = Contact(name="ops", kind="webhook")
    contact.reach("https://hooks.example/very-secret-path")
    contact.sign_with("0123456789abcdef")
    contact.save()
    hidden = [
        secret,
        ApiToken.objects.get().digest,
        *codes,
        "very-secret-path",
        "0123456789abcdef",
        contact.sealed_address,
        ada.password.rpartition("$")[2],
    ]

    for name, pk in {
        "auth_user": ada.pk,
        "people_apitoken": ApiToken.objects.get().pk,
        "alerts_contact": contact.pk,
    }.items():
        for address in (
            reverse(f"admin:{name}_changelist"),
            reverse(f"admin:{name}_change", args=[pk]),
        ):
            html = administrator.get(address).content.decode()
            assert [one for one in hidden if one in html] == [], address


def test_the_library_s_own_pages_are_not_there() -> None:
    for name in (
        "mfa_authenticator",
        "socialaccount_socialapp",
        "account_emailaddress",
    ):
        with pytest.raises(Exception, match="not found"):
            reverse(f"admin:{name}_changelist")


def test_the_audit_log_is_read_and_not_written(administrator: Client) -> None:
    entry = AuditEntry.objects.create(action="sign_in", by_name="eve", subject="eve")
    page = reverse("admin:people_auditentry_change", args=[entry.pk])

    assert administrator.get(page).status_code == 200
    assert administrator.post(page, {"by_name": "x"}).status_code == 403
    delete = reverse("admin:people_auditentry_delete", args=[entry.pk])
    assert administrator.post(delete, {"post": "yes"}).status_code == 403
    several = {
        "action": "delete_selected",
        "_selected_action": str(entry.pk),
        "post": "yes",
    }
    administrator.post(reverse("admin:people_auditentry_changelist"), several)
    entry.refresh_from_db()
    assert entry.by_name == "eve"
    found = administrator.get(
        reverse("admin:people_auditentry_changelist"), {"action": "sign_in"}
    )
    assert "eve" in found.content.decode()


def test_every_write_is_written_down(administrator: Client) -> None:
    administrator.post(reverse("admin:machines_tag_add"), {"name": "shop"})
    tag = Tag.objects.get()
    administrator.post(
        reverse("admin:machines_tag_change", args=[tag.pk]), {"name": "store"}
    )
    several = {
        "action": "delete_selected",
        "_selected_action": str(tag.pk),
        "post": "yes",
    }
    administrator.post(reverse("admin:machines_tag_changelist"), several)

    assert not Tag.objects.exists()
    entries = AuditEntry.objects.filter(action__startswith="tag.").order_by("pk")
    assert [(one.action, one.subject) for one in entries][:3] == [
        ("tag.made", "shop"),
        ("tag.changed", "store"),
        ("tag.deleted", "store"),
    ]
    assert {one.by_name for one in entries} == {"ada"}
    assert {one.address for one in entries} == {"127.0.0.1"}


def test_an_administrator_signs_people_out_and_forgets_their_factor(
    administrator: Client,
) -> None:
    eve = User.objects.create_user("eve")
    second.new_recovery_codes(eve)
    browser = Client()
    browser.force_login(eve)
    chosen = {"_selected_action": str(eve.pk)}
    address = reverse("admin:auth_user_changelist")

    administrator.post(address, {"action": "sign_out", **chosen})
    administrator.post(address, {"action": "forget_second_factor", **chosen})

    assert browser.get("/").status_code == 302
    assert second.recovery_codes_left(eve) == 0


@pytest.mark.parametrize("path", ["/", "/sign-in/", "/admin/", "/health", "/api/hub"])
def test_a_forged_host_gets_no_answer(path: str) -> None:
    client = Client()

    assert client.get(path, headers={"Host": "evil.example"}).status_code == 400
    for name in ("X-Forwarded-Host", "X-Host", "Forwarded"):
        answer = client.get(path, headers={name: "evil.example"})
        assert b"evil.example" not in answer.content
        assert "evil.example" not in answer.get("Location", "")
