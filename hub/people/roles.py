"""What somebody may do: look, operate, administer. Each may all of the one before."""

from __future__ import annotations

from enum import StrEnum

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import prefetch_related_objects


class Role(StrEnum):
    """Also the names of the groups that a person is put into."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"

    def includes(self, other: Role) -> bool:
        return _ORDER.index(self) >= _ORDER.index(other)


_ORDER = (Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR)

# The group's name, for those who know no roles.
OPERATOR = Role.OPERATOR.value

Asker = AbstractBaseUser | AnonymousUser


def role_of(user: Asker) -> Role | None:
    """Return somebody's role; None = nobody who may look at anything.

    The one place that decides. Whoever may sign in may look. Staff has a door to the
    admin, where each model's permissions decide, and operates beside it.
    """
    if not (isinstance(user, User) and user.is_active):
        return None
    if user.is_superuser:
        return Role.ADMINISTRATOR
    # A page asks several times; Django forgets them when they change.
    prefetch_related_objects([user], "groups")
    groups = {group.name for group in user.groups.all()}
    if Role.ADMINISTRATOR.value in groups:
        return Role.ADMINISTRATOR
    if user.is_staff or Role.OPERATOR.value in groups:
        return Role.OPERATOR
    return Role.VIEWER


def may(user: Asker, role: Role) -> bool:
    """Whether somebody has this role, or one that includes it."""
    if role is Role.VIEWER:
        # Without asking the database which one it is.
        return isinstance(user, User) and user.is_active
    found = role_of(user)
    return found is not None and found.includes(role)


def may_operate(user: Asker) -> bool:
    """Whether somebody may answer alerts, change rules and ask agents."""
    return may(user, Role.OPERATOR)


def may_administer(user: Asker) -> bool:
    """Whether somebody may add machines and decide about people."""
    return may(user, Role.ADMINISTRATOR)
