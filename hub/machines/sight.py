"""Which machines somebody is limited to."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, User
from django.db.models import Exists, Q, QuerySet

from hub.machines.models import Machine, Sight
from hub.people.roles import Role


def within(user: AbstractBaseUser) -> Q:
    """Return which machines a known user sees.

    A part of the question to the database, so that it cannot change half-way.
    """
    if isinstance(user, User) and user.is_superuser:
        return Q()
    limits = limits_of(user)
    tagged = Machine.tags.through.objects.filter(tag__sights__in=limits)
    return ~Exists(limits) | Q(pk__in=tagged.values("machine_id"))


def limits_of(user: AbstractBaseUser) -> QuerySet[Sight]:
    """Return every limit that holds for somebody; administrators have none."""
    if isinstance(user, User) and user.is_superuser:
        return Sight.objects.none()
    administers = User.groups.through.objects.filter(
        user=user.pk, group__name=Role.ADMINISTRATOR.value
    )
    about = Q(user=user.pk) | Q(group__user=user.pk)
    return Sight.objects.filter(about & ~Exists(administers))
