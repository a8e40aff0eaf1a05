"""API tokens: made once, found by digest, never readable again."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone

from hub.people import secrets
from hub.people.models import ApiToken, Scope

PREFIX = "smt_"

# A program asks every few seconds; "last used" needs no write each time.
TOUCH_EVERY = timedelta(minutes=1)


def create(
    name: str,
    user: User,
    *,
    scope: str = Scope.READ,
    expires_at: datetime | None = None,
) -> str:
    """Make a token and return its secret, which cannot be shown again.

    Raises ValidationError when the name is taken or a value makes no sense.
    """
    secret = secrets.make(PREFIX)
    token = ApiToken(
        name=name,
        user=user,
        digest=secrets.digest(secret),
        scope=scope,
        expires_at=expires_at,
    )
    token.full_clean()
    token.save(force_insert=True)
    return secret


def find(secret: str, *, now: datetime | None = None) -> ApiToken | None:
    """Return the token if it is known, not expired, and its user is active."""
    if not secrets.plausible(secret, PREFIX):
        return None
    now = now or timezone.now()
    token = (
        ApiToken.objects.select_related("user")
        .filter(digest=secrets.digest(secret))
        .first()
    )
    if token is None or not secrets.matches(secret, token.digest):
        return None
    if not token.user.is_active or (token.expires_at and token.expires_at <= now):
        return None
    _touch(token, now)
    return token


def _touch(token: ApiToken, now: datetime) -> None:
    due = now - TOUCH_EVERY
    if token.last_used_at and token.last_used_at > due:
        return
    # Of several requests at the same moment one writes.
    ApiToken.objects.filter(
        Q(last_used_at=None) | Q(last_used_at__lte=due), pk=token.pk
    ).update(last_used_at=now)
    token.last_used_at = now
