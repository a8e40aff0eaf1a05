from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.db import connection
from pytest_django import Settings

from hub.people import signin
from hub.people.models import SignInLink
from hub.testing.patience import PATIENCE_S

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada")


def secret_of(path: str) -> str:
    assert path.startswith("/sign-in/link/")
    return path.removeprefix("/sign-in/link/")


def test_a_link_signs_in_once(user: User) -> None:
    secret = secret_of(signin.make_link(user))

    assert [signin.redeem(secret), signin.redeem(secret)] == [user, None]


def test_the_database_does_not_hold_the_link(user: User) -> None:
    secret = secret_of(signin.make_link(user))

    [row] = SignInLink.objects.values()

    assert not any(secret in str(value) for value in row.values())


@pytest.mark.parametrize("wrong", ["", "unknown", "\x00", "é", "a" * 10_000])
def test_what_is_no_link_signs_nobody_in(user: User, wrong: str) -> None:
    signin.make_link(user)

    assert signin.redeem(wrong) is None


def test_a_link_ends(user: User) -> None:
    first, second = (
        secret_of(signin.make_link(user, lifetime=timedelta(hours=1), now=NOW))
        for _ in range(2)
    )

    assert signin.redeem(first, now=NOW + timedelta(minutes=59)) == user
    assert signin.redeem(second, now=NOW + timedelta(hours=1)) is None


def test_an_inactive_user_is_not_signed_in(user: User) -> None:
    secret = secret_of(signin.make_link(user))
    User.objects.update(is_active=False)

    assert signin.redeem(secret) is None


@pytest.mark.django_db(transaction=True)
def test_of_two_at_the_same_moment_one_is_signed_in() -> None:
    user = User.objects.create_user("ada")

    for _ in range(10):
        secret, together = secret_of(signin.make_link(user)), Barrier(4)

        def redeem(secret: str = secret, together: Barrier = together) -> User | None:
            connection.ensure_connection()
            together.wait(timeout=PATIENCE_S)
            try:
                return signin.redeem(secret)
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            found = [job.result() for job in [pool.submit(redeem) for _ in range(4)]]

        assert [one for one in found if one] == [user]


@pytest.mark.parametrize(
    ("host", "public", "address"),
    [
        ("127.0.0.1", [], "http://127.0.0.1:8000/x"),
        ("0.0.0.0", [], "http://localhost:8000/x"),
        ("::1", [], "http://[::1]:8000/x"),
        ("127.0.0.1", ["https://hub.example.org"], "https://hub.example.org/x"),
    ],
)
def test_an_address_can_be_opened(
    host: str, public: list[str], address: str, settings: Settings
) -> None:
    settings.HTTP_HOST, settings.HTTP_PORT = host, 8000
    settings.PUBLIC_URLS = public

    assert signin.address("/x") == address
