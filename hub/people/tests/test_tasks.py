from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone

from hub.people import signin, tokens
from hub.people.models import ApiToken, SignInLink
from hub.people.tasks import forget, forget_expired

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def user() -> User:
    return User.objects.create_user("ada")


def test_used_and_expired_links_are_forgotten(user: User) -> None:
    used = signin.make_link(user, now=NOW)
    signin.make_link(user, now=NOW - DAY)
    signin.redeem(used.removeprefix(signin.PATH), now=NOW)
    fresh = signin.make_link(user, now=NOW).removeprefix(signin.PATH)

    assert forget(NOW) == (2, 0)
    assert SignInLink.objects.count() == 1
    assert signin.redeem(fresh, now=NOW) == user


def test_a_token_is_forgotten_a_month_after_it_expired(user: User) -> None:
    tokens.create("for ever", user)
    tokens.create("new", user, expires_at=NOW + DAY)
    tokens.create("over", user, expires_at=NOW - 29 * DAY)
    tokens.create("long over", user, expires_at=NOW - 30 * DAY)

    assert forget(NOW) == (0, 1)
    assert {token.name for token in ApiToken.objects.all()} == {
        "for ever",
        "new",
        "over",
    }


def test_the_task_clears_expired_sessions(user: User) -> None:
    for expires in (timezone.now() - HOUR, timezone.now() + HOUR):
        session = SessionStore()
        session.create()
        Session.objects.filter(pk=session.session_key).update(expire_date=expires)
    signin.make_link(user, now=timezone.now() - 2 * DAY)

    forget_expired.apply().get()

    assert Session.objects.count() == 1
    assert not SignInLink.objects.exists()
