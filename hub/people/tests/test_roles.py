from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from pytest_django import DjangoAssertNumQueries

from hub.people.roles import OPERATOR, may_administer, may_operate

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


def test_who_is_asked_about_again_is_remembered_and_who_changes_is_not(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    ada = User.objects.create_user("ada")

    with django_assert_num_queries(1):
        before = may_operate(ada), may_administer(ada), may_operate(ada)
    ada.groups.add(Group.objects.get_or_create(name=OPERATOR)[0])

    assert before == (False, False, False)
    assert may_operate(ada)
