from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from hub.machines import enrolment
from hub.machines.models import Credential, EnrolmentToken, Machine
from hub.people import secrets
from hub.people.models import AuditEntry
from hub.people.owner import owner

pytestmark = pytest.mark.django_db

TOKENS, CREDENTIALS = "machines_enrolmenttoken", "machines_credential"


@pytest.fixture
def browser() -> Client:
    browser = Client()
    browser.force_login(owner())
    return browser


@pytest.fixture
def credential() -> Credential:
    token, _ = enrolment.make_token(None, name="rack 4")
    enrolment.make_token(None, name="rack 5")
    return enrolment.enrol(token, "web-1", secrets.make("sma_")).credential


def act(browser: Client, model: str, action: str, *pks: int, heard: str = "") -> None:
    url = reverse(f"admin:{model}_changelist")
    headers = {"X-Forwarded-For": heard} if heard else {}
    said = {"action": action, "_selected_action": pks}
    answer = browser.post(url, said, headers=headers)
    assert answer.status_code == 302


def test_tokens_and_credentials_are_shown_without_what_could_open_anything(
    browser: Client, credential: Credential
) -> None:
    token = EnrolmentToken.objects.get(name="rack 4")
    pages = [reverse(f"admin:{model}_changelist") for model in (TOKENS, CREDENTIALS)]
    pages += [
        reverse(f"admin:{TOKENS}_change", args=[token.pk]),
        reverse(f"admin:{CREDENTIALS}_change", args=[credential.pk]),
    ]

    for page in pages:
        shown = browser.get(page).content.decode()
        assert "rack 4" in shown or "web-1" in shown
        assert token.digest not in shown
        assert credential.digest not in shown
        assert 'name="_save"' not in shown


def test_they_are_neither_made_nor_changed_there(
    browser: Client, credential: Credential
) -> None:
    for model in (TOKENS, CREDENTIALS):
        assert browser.get(reverse(f"admin:{model}_add")).status_code == 403
    change = reverse(f"admin:{CREDENTIALS}_change", args=[credential.pk])
    assert browser.post(change, {"revoked_at_0": ""}).status_code == 403


def test_they_are_revoked_there(browser: Client, credential: Credential) -> None:
    token = EnrolmentToken.objects.get(name="rack 5")

    act(browser, TOKENS, "revoke", token.pk)
    act(browser, CREDENTIALS, "revoke", credential.pk)

    token.refresh_from_db()
    credential.refresh_from_db()
    assert not token.opens(timezone.now())
    assert not credential.is_live


@pytest.mark.parametrize(
    ("model", "action", "written"),
    [
        (TOKENS, "revoke", "enrolment.token_revoked"),
        (CREDENTIALS, "revoke", "credential.revoked"),
        (CREDENTIALS, "trust", "credential.trusted"),
    ],
)
def test_who_did_it_is_noted_as_the_proxy_heard_them(
    browser: Client,
    credential: Credential,
    settings: Settings,
    model: str,
    action: str,
    written: str,
) -> None:
    settings.BEHIND_TLS = True
    token = EnrolmentToken.objects.get(name="rack 5")
    pk = token.pk if model == TOKENS else credential.pk

    act(browser, model, action, pk, heard="10.0.0.1, 198.51.100.1")

    entry = AuditEntry.objects.get(action=written)
    assert (entry.by_name, entry.address) == ("owner", "198.51.100.1")


def test_a_clone_is_settled_there(browser: Client, credential: Credential) -> None:
    Credential.objects.update(clone_seen_at=timezone.now(), refused=[["aa", 0, 0]])

    act(browser, CREDENTIALS, "trust", credential.pk)

    assert not Credential.objects.get().is_cloned


def test_a_machine_that_has_a_credential_can_be_deleted(
    browser: Client, credential: Credential
) -> None:
    page = reverse("admin:machines_machine_delete", args=[credential.machine.pk])

    assert browser.post(page, {"post": "yes"}).status_code == 302
    assert (Machine.objects.count(), Credential.objects.count()) == (0, 0)
