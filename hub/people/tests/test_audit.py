from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.test import RequestFactory
from django.utils import timezone
from pytest_django import Settings

from hub.machines.models import Tag
from hub.people import audit
from hub.people.models import AuditEntry
from hub.people.tasks import forget_expired

pytestmark = pytest.mark.django_db


def test_who_did_what_from_where_is_kept() -> None:
    ada = User.objects.create_user("ada")

    audit.record(ada, "rule.changed", "Disk", address="192.0.2.7", warning=0.8, on=True)

    [entry] = AuditEntry.objects.all()
    assert (entry.by, entry.by_name, entry.action) == (ada, "ada", "rule.changed")
    assert (entry.subject, entry.address) == ("Disk", "192.0.2.7")
    assert entry.detail == {"warning": 0.8, "on": True}


def test_whoever_is_deleted_has_still_done_it() -> None:
    ada = User.objects.create_user("ada")
    audit.record(ada, "rule.changed", "Disk")

    ada.delete()

    [entry] = AuditEntry.objects.all()
    assert (entry.by, entry.by_name) == (None, "ada")


def test_a_stranger_and_the_hub_have_no_name() -> None:
    audit.record(None, "hub.started")
    audit.record(AnonymousUser(), "sign_in.failed")

    assert set(AuditEntry.objects.values_list("by_name", flat=True)) == {""}


def test_no_text_is_too_long_or_too_strange() -> None:
    audit.record(None, "x", "\0" + "s" * 10_000, address="a" * 500, note="\0" * 9_000)

    [entry] = AuditEntry.objects.all()
    assert (len(entry.subject), len(entry.address)) == (200, 64)
    assert len(entry.detail["note"]) == 500


def test_what_is_rolled_back_did_not_happen() -> None:
    with transaction.atomic():
        audit.record(None, "x")
        transaction.set_rollback(True)

    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("behind", "said", "address"),
    [
        (False, "", "192.0.2.7"),
        (False, "198.51.100.1", "192.0.2.7"),
        (True, "", "192.0.2.7"),
        # The proxy writes the last one; the one before is invented.
        (True, "10.0.0.1, 198.51.100.1", "198.51.100.1"),
    ],
)
def test_an_address_is_not_what_somebody_says(
    behind: bool, said: str, address: str, settings: Settings
) -> None:
    settings.BEHIND_TLS = behind
    more = {"X-Forwarded-For": said} if said else {}
    request = RequestFactory(headers=more, REMOTE_ADDR="192.0.2.7").get("/")
    request.user = AnonymousUser()

    audit.of(request, "x")

    assert AuditEntry.objects.get().address == address


def test_what_the_admin_writes_down_is_here_too() -> None:
    ada = User.objects.create_user("ada")
    tag = Tag.objects.create(name="production")

    LogEntry.objects.log_actions(
        ada.pk, [tag], CHANGE, change_message="Changed name.", single_object=True
    )

    [entry] = AuditEntry.objects.all()
    assert (entry.by_name, entry.action, entry.subject) == (
        "ada",
        "tag.changed",
        "production",
    )
    assert entry.detail == {"said": "Changed name."}


def test_old_entries_are_forgotten(settings: Settings) -> None:
    settings.AUDIT_RETENTION = timedelta(days=30)
    for days in (29, 31):
        audit.record(None, f"{days} days ago")
        at = timezone.now() - timedelta(days=days)
        AuditEntry.objects.filter(action=f"{days} days ago").update(at=at)

    forget_expired()

    assert [entry.action for entry in AuditEntry.objects.all()] == ["29 days ago"]
