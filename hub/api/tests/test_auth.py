from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from hub.people import tokens
from hub.people.models import ApiToken, Scope

pytestmark = pytest.mark.django_db

SIGN_IN = "Sign in, or send a valid token as `Authorization: Bearer smt_…`."
BAD = "The token is unknown, revoked or expired."

PATHS = [
    "/api/machines",
    "/api/machines/web-1/metrics",
    "/api/machines/web-1/history?metric=system.cpu.utilization",
    "/api/openapi.json",
]


def bearer(secret: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {secret}"})


@pytest.mark.parametrize("path", PATHS)
def test_strangers_are_refused_everywhere(path: str) -> None:
    response = Client().get(path)

    assert (response.status_code, response.json()) == (401, {"error": SIGN_IN})
    assert response["WWW-Authenticate"] == "Bearer"
    assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer smt_wrong",
        "Bearer ",
        "Bearer",
        "bearer smt_\x7f",
        "Bearer smt_" + "a" * 4000,
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_token_is_said_to_be_wrong(path: str, header: str) -> None:
    response = Client(headers={"Authorization": header}).get(path)

    assert (response.status_code, response.json()) == (401, {"error": BAD})


@pytest.mark.parametrize("header", ["Basic YTpi", "smt_wrong", "Digest x"])
def test_another_kind_of_key_counts_as_none(header: str) -> None:
    response = Client(headers={"Authorization": header}).get("/api/machines")

    assert (response.status_code, response.json()) == (401, {"error": SIGN_IN})


@pytest.mark.parametrize("scope", Scope.values)
def test_a_token_of_any_scope_may_read(user: User, scope: str) -> None:
    secret = tokens.create(scope, user, scope=scope)

    assert bearer(secret).get("/api/machines").status_code == 200


def test_a_token_opens_the_description_too(client: Client) -> None:
    assert client.get("/api/openapi.json").json()["info"]["title"] == "sysmonstm"


def test_an_expired_token_is_refused(user: User) -> None:
    over = timezone.now() - timedelta(seconds=1)

    response = bearer(tokens.create("old", user, expires_at=over)).get("/api/machines")

    assert (response.status_code, response.json()) == (401, {"error": BAD})


def test_a_revoked_token_is_refused(token: str) -> None:
    ApiToken.objects.all().delete()

    assert bearer(token).get("/api/machines").status_code == 401


def test_the_token_of_an_inactive_user_is_refused(token: str) -> None:
    User.objects.update(is_active=False)

    assert bearer(token).get("/api/machines").status_code == 401


def test_a_session_will_do(user: User) -> None:
    browser = Client()
    browser.force_login(user)

    for path in ("/api/machines", "/api/openapi.json"):
        assert browser.get(path).status_code == 200


def test_the_session_of_an_inactive_user_will_not(user: User) -> None:
    browser = Client()
    browser.force_login(user)
    User.objects.update(is_active=False)

    assert browser.get("/api/machines").status_code == 401


def test_a_forged_session_will_not() -> None:
    browser = Client()
    browser.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32

    assert browser.get("/api/machines").status_code == 401


def test_a_wrong_token_is_not_mended_by_a_session(user: User) -> None:
    browser = Client(headers={"Authorization": "Bearer smt_wrong"})
    browser.force_login(user)

    assert browser.get("/api/machines").json() == {"error": BAD}


def test_the_documents_are_for_people_who_signed_in(user: User) -> None:
    browser = Client()

    stranger = browser.get("/api/docs")
    browser.force_login(user)
    person = browser.get("/api/docs")

    assert stranger.status_code == 302
    assert stranger["Location"].endswith("?next=/api/docs")
    assert person.status_code == 200
    assert b"swagger-ui-bundle.js" in person.content
    assert b"//cdn" not in person.content


@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "Authorization"])
def test_a_token_in_the_address_is_none(name: str, token: str) -> None:
    """Addresses end up in logs and histories."""
    for path in ("/api/machines", "/metrics", "/metrics/machines", "/api/openapi.json"):
        for told in (token, f"Bearer {token}"):
            assert Client().get(path, {name: told}).status_code in (401, 403), path
