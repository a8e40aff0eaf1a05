"""Accounts of another store: who they are, what they may, what they are asked.

What limits somebody comes with them, or they would see more here than there.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, User
from django.db import transaction

from hub.machines.models import Sight, Tag
from hub.storage.source import Source

FIELDS = (
    *("id", "username", "password", "email", "first_name", "last_name"),
    *("is_superuser", "is_staff", "is_active", "date_joined"),
)


def people(source: Source) -> int:
    """Copy accounts whose names are not taken; return how many."""
    with transaction.atomic():
        _limits_of_groups(source)
        return sum(
            _person(source, dict(zip(FIELDS, row, strict=True)))
            for row in source.rows(f"SELECT {', '.join(FIELDS)} FROM auth_user")
        )


def _person(source: Source, told: dict[str, object]) -> bool:
    number, name = told.pop("id"), told.pop("username")
    joined = datetime.fromisoformat(str(told["date_joined"]))
    told["date_joined"] = joined.replace(tzinfo=UTC)
    user, is_new = User.objects.get_or_create(username=name, defaults=told)
    if not is_new:
        return False
    user.groups.set(
        Group.objects.get_or_create(name=group)[0]
        for (group,) in source.rows(
            "SELECT g.name FROM auth_user_groups u JOIN auth_group g"
            " ON g.id = u.group_id WHERE u.user_id = ?",
            [number],
        )
    )
    for kind, data in source.rows(
        "SELECT type, data FROM mfa_authenticator WHERE user_id = ?", [number]
    ):
        Authenticator.objects.create(user=user, type=kind, data=json.loads(data))
    limits = source.rows("SELECT id FROM machines_sight WHERE user_id = ?", [number])
    for (limit,) in limits:
        Sight.objects.create(user=user).tags.set(_tags(source, limit))
    return True


def _limits_of_groups(source: Source) -> None:
    for limit, name in source.rows(
        "SELECT s.id, g.name FROM machines_sight s JOIN auth_group g"
        " ON g.id = s.group_id"
    ):
        group, _ = Group.objects.get_or_create(name=name)
        sight, is_new = Sight.objects.get_or_create(group=group)
        if is_new:
            sight.tags.set(_tags(source, limit))


def _tags(source: Source, limit: int) -> list[Tag]:
    return [
        Tag.objects.get_or_create(name=name)[0]
        for (name,) in source.rows(
            "SELECT t.name FROM machines_sight_tags s JOIN machines_tag t"
            " ON t.id = s.tag_id WHERE s.sight_id = ?",
            [limit],
        )
    ]
