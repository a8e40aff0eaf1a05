from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User

from hub.people.roles import OPERATOR, may_operate

pytestmark = pytest.mark.django_db


def test_staff_and_operators_may_and_viewers_may_not() -> None:
    viewer = User.objects.create_user("ada")
    staff = User.objects.create_user("grace", is_staff=True)
    operator = User.objects.create_user("linus")
    operator.groups.add(Group.objects.get_or_create(name=OPERATOR)[0])

    may = [may_operate(user) for user in (viewer, staff, operator, AnonymousUser())]

    assert may == [False, True, True, False]


def test_whoever_left_may_not() -> None:
    gone = User.objects.create_user("ada", is_staff=True, is_active=False)

    assert not may_operate(gone)
