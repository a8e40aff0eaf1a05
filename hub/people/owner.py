"""The person whose hub this is."""

from __future__ import annotations

from itertools import count

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User


def owner() -> User:
    """Return the first administrator; the first call makes one.

    It has no password: a sign-in link lets it in, and it may choose one then.
    """
    found = (
        User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    )
    return found or _make()


def _make() -> User:
    for number in count(1):
        user, _ = User.objects.get_or_create(
            username="owner" if number == 1 else f"owner-{number}",
            defaults={
                "is_staff": True,
                "is_superuser": True,
                "password": make_password(None),
            },
        )
        # Somebody of that name who may not administer does not become able to.
        if user.is_superuser and user.is_active:
            return user
    raise AssertionError("count() ends never")
