from __future__ import annotations

import secrets as stdlib_secrets
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from hub.people import tokens
from hub.people.models import ApiToken

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


@pytest.fixture
def user() -> User:
    return User.objects.create_user("ada")


def test_a_token_is_found_by_its_secret(user: User) -> None:
    secret = tokens.create("grafana", user)

    found = tokens.find(secret)

    assert found is not None
    assert (found.name, found.user, found.scope) == ("grafana", user, "read")


def test_the_database_does_not_hold_the_secret(user: User) -> None:
    secret = tokens.create("grafana", user)

    [row] = ApiToken.objects.values()

    assert secret.startswith("smt_")
    assert len(secret) >= 46
    assert not any(secret.removeprefix("smt_") in str(value) for value in row.values())


@pytest.mark.parametrize(
    "wrong",
    ["", "smt_", "smt_unknown", "bearer", "smt_\x00", "smt_é", "smt_" + "a" * 10_000],
)
def test_what_is_no_token_finds_nothing(user: User, wrong: str) -> None:
    tokens.create("grafana", user)

    assert tokens.find(wrong) is None


def test_the_secret_of_another_case_finds_nothing(user: User) -> None:
    secret = tokens.create("grafana", user)

    assert tokens.find("smt_" + secret[4:].swapcase()) is None
    assert tokens.find(secret[:-1]) is None


def test_an_expired_token_finds_nothing(user: User) -> None:
    secret = tokens.create("grafana", user, expires_at=NOW)

    assert tokens.find(secret, now=NOW - timedelta(seconds=1)) is not None
    assert tokens.find(secret, now=NOW) is None


def test_the_token_of_an_inactive_user_finds_nothing(user: User) -> None:
    secret = tokens.create("grafana", user)
    User.objects.update(is_active=False)

    assert tokens.find(secret) is None


def test_a_revoked_token_finds_nothing(user: User) -> None:
    secret = tokens.create("grafana", user)
    ApiToken.objects.all().delete()

    assert tokens.find(secret) is None


def test_use_is_noted_at_most_once_a_minute(user: User) -> None:
    secret = tokens.create("grafana", user)

    noted = []
    for seconds in (0, 59, 60):
        tokens.find(secret, now=NOW + timedelta(seconds=seconds))
        noted.append(ApiToken.objects.get().last_used_at)

    assert noted == [NOW, NOW, NOW + timedelta(seconds=60)]


def test_a_refused_token_is_not_noted_as_used(user: User) -> None:
    secret = tokens.create("grafana", user, expires_at=NOW)

    tokens.find(secret, now=NOW)

    assert ApiToken.objects.get().last_used_at is None


def test_two_tokens_of_one_name_are_refused(user: User) -> None:
    tokens.create("grafana", user)

    with pytest.raises(ValidationError, match="of this name exists"):
        tokens.create("grafana", user)


def test_an_unknown_scope_is_refused(user: User) -> None:
    with pytest.raises(ValidationError, match="not a valid choice"):
        tokens.create("grafana", user, scope="everything")


def test_digests_are_compared_in_constant_time(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[str, str]] = []

    def compare(a: str, b: str) -> bool:
        compared.append((a, b))
        return False

    secret = tokens.create("grafana", user)
    monkeypatch.setattr(stdlib_secrets, "compare_digest", compare)

    # Its verdict is the one that counts.
    assert tokens.find(secret) is None
    assert compared == [(ApiToken.objects.get().digest,) * 2]
