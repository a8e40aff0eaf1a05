"""Links that sign one person in, once."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from hub.people import secrets
from hub.people.models import SignInLink

PATH = "/sign-in/link/"
LIFETIME = timedelta(days=1)

# Addresses to listen on that no browser can open.
_ANY_ADDRESS = {"0.0.0.0", "::", ""}


def make_link(
    user: User, *, lifetime: timedelta = LIFETIME, now: datetime | None = None
) -> str:
    """Return the path of a new link; its secret is not kept anywhere."""
    now = now or timezone.now()
    secret = secrets.make()
    SignInLink.objects.create(
        user=user,
        digest=secrets.digest(secret),
        created_at=now,
        expires_at=now + lifetime,
    )
    return PATH + secret


def redeem(secret: str, *, now: datetime | None = None) -> User | None:
    """Use a link up and return whom it signs in.

    None when it is unknown, expired or used, or its user is not active. Of two
    browsers that redeem it at the same moment one is signed in.
    """
    if not secrets.plausible(secret):
        return None
    now = now or timezone.now()
    link = (
        SignInLink.objects.select_related("user")
        .filter(digest=secrets.digest(secret))
        .first()
    )
    if link is None or not secrets.matches(secret, link.digest):
        return None
    if not link.user.is_active:
        return None
    # The database decides who was first: the row changes for one of them.
    taken = SignInLink.objects.filter(
        pk=link.pk, used_at=None, expires_at__gt=now
    ).update(used_at=now)
    return link.user if taken else None


def is_open(secret: str, *, now: datetime | None = None) -> bool:
    """Whether a link would sign somebody in; it stays as it is."""
    now = now or timezone.now()
    return (
        secrets.plausible(secret)
        and SignInLink.objects.filter(
            digest=secrets.digest(secret),
            used_at=None,
            expires_at__gt=now,
            user__is_active=True,
        ).exists()
    )


def address(path: str) -> str:
    """Return the whole address of a path, for a person to open."""
    if settings.PUBLIC_URLS:
        return f"{settings.PUBLIC_URLS[0].rstrip('/')}{path}"
    host = settings.HTTP_HOST
    if host in _ANY_ADDRESS:
        host = "localhost"
    elif ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{host}:{settings.HTTP_PORT}{path}"
