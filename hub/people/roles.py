"""What somebody may do beside looking."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

OPERATOR = "operator"


def may_operate(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether somebody may answer alerts and change rules.

    The one place that decides: staff may, and whoever is in the group "operator".
    """
    if not (isinstance(user, User) and user.is_active):
        return False
    return user.is_staff or user.groups.filter(name=OPERATOR).exists()
