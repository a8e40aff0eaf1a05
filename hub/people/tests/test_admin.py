from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from hub.people import tokens
from hub.people.models import ApiToken
from hub.people.owner import owner

pytestmark = pytest.mark.django_db

LIST = "admin:people_apitoken_changelist"
CHANGE = "admin:people_apitoken_change"
DELETE = "admin:people_apitoken_delete"


@pytest.fixture
def token() -> ApiToken:
    tokens.create("grafana", owner())
    return ApiToken.objects.get()


@pytest.fixture
def browser() -> Client:
    browser = Client()
    browser.force_login(owner())
    return browser


def test_tokens_are_shown_without_their_digest(
    browser: Client, token: ApiToken
) -> None:
    pages = (reverse(LIST), reverse(CHANGE, args=[token.pk]))

    for page in pages:
        shown = browser.get(page).content.decode()
        assert "grafana" in shown
        assert token.digest not in shown


def test_the_admin_makes_no_tokens(browser: Client) -> None:
    response = browser.get(reverse("admin:people_apitoken_add"))

    assert response.status_code == 403


def test_a_token_cannot_be_given_to_somebody_else(
    browser: Client, token: ApiToken
) -> None:
    other = User.objects.create_user("ada")
    said = {"name": "renamed", "user": other.pk, "scope": "operate"}
    said |= {"expires_at_0": "", "expires_at_1": ""}

    browser.post(reverse(CHANGE, args=[token.pk]), said)

    token.refresh_from_db()
    assert (token.name, token.user, token.scope) == ("renamed", owner(), "read")


def test_a_deleted_token_is_revoked(browser: Client, token: ApiToken) -> None:
    browser.post(reverse(DELETE, args=[token.pk]), {"post": "yes"})

    assert not ApiToken.objects.exists()
