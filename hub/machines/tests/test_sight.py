from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from hub.machines.models import Machine, Sight, Tag
from hub.machines.registry import CANARY, is_limited, visible_to
from hub.people.roles import Role

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada")


@pytest.fixture(autouse=True)
def fleet() -> None:
    """Machines web (tagged shop), db (shop and data), nas (data), lone (nothing)."""
    for name, tags in {
        "web": ["shop"],
        "db": ["shop", "data"],
        "nas": ["data"],
        "lone": [],
    }.items():
        machine = Machine.objects.create(machine_id=name)
        machine.tags.set([Tag.objects.get_or_create(name=tag)[0] for tag in tags])
    Machine.objects.create(machine_id=CANARY)


def limit(*tags: str, user: User | None = None, group: Group | None = None) -> Sight:
    sight = Sight.objects.create(user=user, group=group)
    sight.tags.set(Tag.objects.filter(name__in=tags))
    return sight


def seen(user: User) -> list[str]:
    return [machine.machine_id for machine in visible_to(user)]


def test_whoever_has_no_limit_sees_everything(ada: User) -> None:
    assert seen(ada) == ["db", "lone", "nas", "web"]
    assert not is_limited(ada)


def test_a_limit_shows_machines_with_any_of_its_tags_once(ada: User) -> None:
    limit("shop", "data", user=ada)

    assert seen(ada) == ["db", "nas", "web"]
    assert is_limited(ada)


def test_a_limit_of_a_group_holds_for_those_in_it(ada: User) -> None:
    shop = Group.objects.create(name="shop people")
    limit("shop", group=shop)
    assert seen(ada) == ["db", "lone", "nas", "web"]

    ada.groups.add(shop)

    assert seen(ada) == ["db", "web"]


def test_several_limits_show_what_any_of_them_shows(ada: User) -> None:
    group = Group.objects.create(name="data people")
    ada.groups.add(group)
    limit("data", group=group)
    limit("shop", user=ada)

    assert seen(ada) == ["db", "nas", "web"]


def test_a_limit_whose_tag_is_deleted_shows_nothing(ada: User) -> None:
    limit("shop", user=ada)

    Tag.objects.filter(name="shop").delete()

    assert seen(ada) == []
    assert is_limited(ada)


@pytest.mark.parametrize("by_group", [True, False])
def test_an_administrator_is_never_limited(ada: User, *, by_group: bool) -> None:
    limit("shop", user=ada)
    if by_group:
        name = Role.ADMINISTRATOR.value
        ada.groups.add(Group.objects.get_or_create(name=name)[0])
    else:
        ada.is_superuser = True

    assert seen(ada) == ["db", "lone", "nas", "web"]
    assert not is_limited(ada)


def test_the_answer_costs_one_question(
    ada: User, django_assert_num_queries: object
) -> None:
    limit("shop", user=ada)

    with django_assert_num_queries(1):  # type: ignore[operator]
        seen(ada)


def test_a_limit_is_of_one_person_or_one_group(ada: User) -> None:
    group = Group.objects.create(name="both")

    with pytest.raises(IntegrityError), transaction.atomic():
        Sight.objects.create()
    with pytest.raises(ValidationError, match="not both"):
        Sight(user=ada, group=group).full_clean()
