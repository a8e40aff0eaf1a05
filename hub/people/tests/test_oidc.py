"""Signing in with a provider: a real one, small, run here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from allauth.mfa.totp.internal import auth
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from hub.people import second
from hub.people.models import AuditEntry
from hub.people.roles import Role, role_of
from hub.people.tests.provider import CLIENT, SECRET, Provider, serving
from hub.testing.patience import PATIENCE_S

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with serving() as provider:
        yield provider


@pytest.fixture
def provider(running: Provider, settings: Settings) -> Provider:
    """Make it the hub's, with ada at its door."""
    fresh = Provider(url=running.url)
    vars(running).update(
        {name: value for name, value in vars(fresh).items() if name != "_key"}
    )
    running.claims = {
        "sub": "248289761001",
        "preferred_username": "ada",
        "email": "ada@example.org",
        "email_verified": True,
    }
    settings.OIDC_ISSUER, settings.OIDC_NAME = running.url, "Home"
    settings.SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {
            "OAUTH_PKCE_ENABLED": True,
            "APPS": [
                {
                    "provider_id": "oidc",
                    "name": "Home",
                    "client_id": CLIENT,
                    "secret": SECRET,
                    "settings": {"server_url": running.url},
                }
            ],
        }
    }
    return running


def come(client: Client, next_url: str = "/") -> HttpResponse:
    """Do what a browser does, until the hub sends it to a page of its own."""
    to = client.get("/sign-in/provider/", {"next": next_url})
    back = requests.get(to["Location"], allow_redirects=False, timeout=PATIENCE_S)
    return _back(client, back.headers["Location"])


def _back(client: Client, address: str) -> HttpResponse:
    parts = urlsplit(address)
    return client.get(f"{parts.path}?{parts.query}")  # type: ignore[return-value]


def who(client: Client) -> str:
    """Return who is signed in."""
    key = client.session.get("_auth_user_id")
    return User.objects.get(pk=key).username if key else ""


def test_a_new_person_becomes_a_viewer_and_goes_where_they_wanted(
    provider: Provider,
) -> None:
    client = Client()

    answer = come(client, "/alerts/")

    assert answer["Location"] == "/alerts/"
    assert who(client) == "ada"
    ada = User.objects.get()
    assert role_of(ada) is Role.VIEWER
    assert ada.email == "ada@example.org"
    assert not ada.has_usable_password()
    [entry] = AuditEntry.objects.filter(action="sign_in")
    assert (entry.by, entry.detail["how"]) == (ada, "provider")
    assert provider.asked == [
        "/.well-known/openid-configuration",
        "/authorize",
        "/.well-known/openid-configuration",
        "/token",
        "/userinfo",
    ]


def test_somebody_who_comes_again_is_the_same_person(provider: Provider) -> None:
    come(Client())
    provider.claims |= {"preferred_username": "countess", "email": "new@example.org"}
    client = Client()

    come(client)

    assert who(client) == "ada"
    assert User.objects.count() == 1


def test_a_verified_address_finds_the_account_that_has_it(provider: Provider) -> None:
    User.objects.create_user("grace", email="ADA@example.org")
    client = Client()

    come(client)

    assert who(client) == "grace"
    assert SocialAccount.objects.get().user.username == "grace"


@pytest.mark.parametrize("said", [False, "false", None, "yes", 1.5])
def test_an_address_that_is_not_verified_finds_nobody(
    provider: Provider, said: object
) -> None:
    User.objects.create_superuser("root", email="ada@example.org")
    provider.claims["email_verified"] = said
    client = Client()

    come(client)

    assert who(client) == "ada"
    assert User.objects.get(username="ada").email == ""


def test_an_address_of_two_accounts_lets_nobody_in(provider: Provider) -> None:
    for name in ("grace", "linus"):
        User.objects.create_user(name, email="ada@example.org")
    client = Client()

    answer = come(client)

    assert who(client) == ""
    assert answer["Location"] == "/sign-in/?problem=refused"
    assert "does not let you in" in client.get(answer["Location"]).content.decode()


def test_a_name_that_is_taken_is_not_theirs(provider: Provider) -> None:
    User.objects.create_superuser("Ada", email="boss@example.org")
    client = Client()

    come(client)

    assert who(client) == "ada-2"


@pytest.mark.parametrize(
    ("wished", "name"),
    [("_canary", "canary"), ("<b>eve</b>", "beveb"), ("", "ada"), ("__", "person")],
)
def test_names_are_made_safe(provider: Provider, wished: str, name: str) -> None:
    provider.claims["preferred_username"] = wished
    client = Client()

    come(client)

    assert who(client) == name


def test_who_is_not_active_stays_outside(provider: Provider) -> None:
    come(Client())
    User.objects.update(is_active=False)
    client = Client()

    assert come(client)["Location"] == "/sign-in/?problem=refused"
    assert who(client) == ""


def test_the_provider_s_groups_give_and_take_roles(
    provider: Provider, settings: Settings
) -> None:
    settings.OIDC_ROLES = {"admins": "administrator", "crew": "operator"}
    settings.OIDC_GROUPS_CLAIM = "groups"
    provider.claims["groups"] = ["crew", "others"]
    come(Client())
    ada = User.objects.get()
    ada.groups.add(Group.objects.create(name="own"))
    assert role_of(ada) is Role.OPERATOR

    provider.claims["groups"] = ["admins"]
    come(Client())
    assert role_of(User.objects.get()) is Role.ADMINISTRATOR
    del provider.claims["groups"]
    come(Client())

    assert role_of(User.objects.get()) is Role.VIEWER
    assert [group.name for group in User.objects.get().groups.all()] == ["own"]


def test_a_second_factor_is_asked_for_here_too(provider: Provider) -> None:
    come(Client())
    second.turn_on(User.objects.get(), *_secret_and_code())
    client = Client()

    answer = come(client, "/alerts/")

    assert answer["Location"] == "/sign-in/code"
    assert who(client) == ""


def _secret_and_code() -> tuple[str, str]:
    secret = second.new_secret()
    counter = next(iter(auth.yield_hotp_counters_from_time()))
    return secret, auth.format_hotp_value(auth.hotp_value(secret, counter))


# -- what an attacker may try


def test_an_answer_works_once_and_in_the_browser_that_asked(
    provider: Provider,
) -> None:
    client, other = Client(), Client()
    to = client.get("/sign-in/provider/")
    back = requests.get(to["Location"], allow_redirects=False, timeout=PATIENCE_S)

    stolen = _back(other, back.headers["Location"])
    first = _back(client, back.headers["Location"])
    client.logout()
    again = _back(client, back.headers["Location"])

    assert stolen["Location"] == "/sign-in/?problem=provider"
    assert first["Location"] == "/"
    assert again["Location"] == "/sign-in/?problem=provider"
    assert (who(other), who(client)) == ("", "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"token_claims": {"iss": "https://evil.example"}},
        {"audience": "another program"},
        {"token_claims": {"exp": 1}},
        {"token_claims": {"sub": "somebody else"}},
        {"claims": {"email": "ada@example.org"}},
        {"is_away": True},
    ],
    ids=["issuer", "audience", "expired", "two people", "nobody", "away"],
)
def test_what_a_provider_must_not_say_signs_nobody_in(
    provider: Provider, wrong: dict[str, Any]
) -> None:
    client = Client()
    to = client.get("/sign-in/provider/")
    vars(provider).update(wrong)

    if provider.is_away:
        answer: Any = client.get("/sign-in/provider/")
    else:
        back = requests.get(to["Location"], allow_redirects=False, timeout=PATIENCE_S)
        answer = _back(client, back.headers["Location"])

    assert answer["Location"].startswith("/sign-in/?problem=")
    assert who(client) == ""
    assert not User.objects.exists()


def test_a_person_of_another_provider_with_the_same_number_is_another(
    provider: Provider, settings: Settings
) -> None:
    come(Client())
    provider.claims |= {"email": "eve@example.org", "preferred_username": "eve"}
    SocialAccount.objects.update(provider="oidc:another")
    client = Client()

    come(client)

    assert who(client) == "eve"


def test_another_site_cannot_begin_it(provider: Provider) -> None:
    answer = Client().get(
        "/sign-in/provider/", headers={"Sec-Fetch-Site": "cross-site"}
    )

    assert answer["Location"] == "/sign-in/"


def test_it_leads_nowhere_but_here(provider: Provider) -> None:
    assert come(Client(), "https://evil.example/")["Location"] == "/"


@pytest.mark.parametrize("path", ["/sign-in/provider/", "/sign-in/provider/callback"])
def test_without_a_provider_there_is_no_such_way(path: str) -> None:
    assert Client().get(path).status_code == 404
    assert "provider" not in Client().get("/sign-in/").content.decode()


def test_the_way_back_is_the_hub_s_own_address(provider: Provider) -> None:
    forged = Client().get("/sign-in/provider/", headers={"Host": "evil.example"})
    spoofed = Client().get(
        "/sign-in/provider/", headers={"X-Forwarded-Host": "evil.example"}
    )

    assert forged.status_code == 400
    assert "evil.example" not in spoofed["Location"]
