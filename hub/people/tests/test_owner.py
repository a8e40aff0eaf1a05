from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from hub.people.owner import owner

pytestmark = pytest.mark.django_db


def test_the_first_call_makes_an_owner_without_a_password() -> None:
    made = owner()

    assert made.username == "owner"
    assert made.is_superuser
    assert made.is_staff
    assert not made.has_usable_password()


def test_the_next_call_finds_the_same_owner() -> None:
    assert owner() == owner()
    assert User.objects.count() == 1


def test_the_first_administrator_is_the_owner() -> None:
    User.objects.create_user("ada")
    grace = User.objects.create_superuser("grace")
    User.objects.create_superuser("edsger")

    assert owner() == grace


def test_an_administrator_who_left_is_not_the_owner() -> None:
    User.objects.create_superuser("grace", is_active=False)

    assert owner().username == "owner"


def test_somebody_who_is_named_owner_does_not_become_one() -> None:
    User.objects.create_user("owner")

    assert owner().username == "owner-2"
    assert not User.objects.get(username="owner").is_superuser
