from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from hub.people import signin, tokens
from hub.people.models import ApiToken, SignInLink

pytestmark = pytest.mark.django_db


def run(*argv: str) -> str:
    out = StringIO()
    call_command(*argv, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def test_create_prints_a_secret_that_works() -> None:
    secret = run("apitoken", "create", "grafana")

    found = tokens.find(secret)

    assert found is not None
    assert (found.name, found.user.username) == ("grafana", "owner")
    assert (found.scope, found.expires_at) == ("read", None)


def test_create_takes_a_user_a_scope_and_a_time() -> None:
    User.objects.create_user("ada")

    run("apitoken", "create", "ci", "--user=ada", "--scope=operate", "--days=30")

    token = ApiToken.objects.get()
    assert (token.user.username, token.scope) == ("ada", "operate")
    assert token.expires_at is not None
    left = token.expires_at - timezone.now()
    assert timedelta(days=29) < left <= timedelta(days=30)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["create", "taken"], "of this name exists"),
        (["create", "x", "--user=nobody"], "no active user named 'nobody'"),
        (["create", "x", "--days=0"], "--days must be more than 0"),
        (["create", "x" * 101], "at most 100 characters"),
        (["revoke", "other"], "no token named 'other'"),
    ],
)
def test_apitoken_refuses_with_a_sentence(argv: list[str], sentence: str) -> None:
    run("apitoken", "create", "taken")

    with pytest.raises(CommandError, match=sentence):
        run("apitoken", *argv)

    assert ApiToken.objects.count() == 1


def test_list_shows_tokens_without_secrets() -> None:
    secret = run("apitoken", "create", "grafana")

    shown = run("apitoken", "list")

    assert shown.startswith("grafana  user=owner scope=read created=")
    assert shown.endswith("expires=never last-used=never")
    assert secret not in shown
    assert ApiToken.objects.get().digest not in shown


def test_revoke_makes_a_token_useless() -> None:
    secret = run("apitoken", "create", "grafana")

    assert run("apitoken", "revoke", "grafana") == "Revoked grafana."
    assert tokens.find(secret) is None


def test_signinlink_prints_a_link_for_the_owner() -> None:
    shown = run("signinlink")

    address, _, secret = shown.partition(signin.PATH)
    assert address.startswith("http://")
    user = signin.redeem(secret)
    assert user is not None
    assert user.username == "owner"


def test_signinlink_takes_a_name_and_hours() -> None:
    User.objects.create_user("ada")

    run("signinlink", "ada", "--hours=0.5")

    link = SignInLink.objects.get()
    assert link.user.username == "ada"
    assert link.expires_at - link.created_at == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["nobody"], "no user named 'nobody'"),
        (["left"], "'left' is not active"),
        (["--hours=0"], "--hours must be more than 0"),
        (["--hours=nan"], "--hours must be more than 0"),
    ],
)
def test_signinlink_refuses_with_a_sentence(argv: list[str], sentence: str) -> None:
    User.objects.create_user("left", is_active=False)

    with pytest.raises(CommandError, match=sentence):
        run("signinlink", *argv)

    assert not SignInLink.objects.exists()
