from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from hub.machines.models import Machine
from hub.machines.registry import CANARY, Arrival, arrive, leave, visible_to

HELLO = Arrival(
    machine_id="web-1",
    agent_version="0.1.0",
    os="Debian GNU/Linux 12 (bookworm)",
    kernel="6.1.0-18-amd64",
    architecture="x86_64",
    boot_time_ms=1_772_366_400_000,
    interval_s=5.0,
)

pytestmark = pytest.mark.django_db


def test_a_machine_that_says_hello_is_known_from_then_on() -> None:
    before = timezone.now()

    machine, is_new = arrive(HELLO)

    assert is_new
    machine.refresh_from_db()
    assert (machine.machine_id, machine.title) == ("web-1", "web-1")
    assert (machine.os, machine.kernel) == (HELLO.os, HELLO.kernel)
    assert (machine.architecture, machine.agent_version) == ("x86_64", "0.1.0")
    assert machine.boot_time == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert machine.interval_s == 5
    assert machine.last_hello is not None
    assert before <= machine.first_seen <= machine.last_hello <= timezone.now()


def test_a_machine_that_comes_back_keeps_its_number_and_its_name() -> None:
    first, _ = arrive(HELLO)
    Machine.objects.filter(pk=first.pk).update(name="Front")

    again, is_new = arrive(replace(HELLO, agent_version="0.2.0", interval_s=1.0))

    assert not is_new
    again.refresh_from_db()
    assert (again.pk, again.title) == (first.pk, "Front")
    assert (again.agent_version, again.interval_s) == ("0.2.0", 1)
    assert again.first_seen == first.first_seen


def test_an_unknown_boot_time_is_null() -> None:
    machine, _ = arrive(replace(HELLO, boot_time_ms=0))

    assert machine.boot_time is None


def test_whoever_is_signed_in_sees_every_machine() -> None:
    machine, _ = arrive(HELLO)
    user = User.objects.create_user("ada")

    assert list(visible_to(user)) == [machine]


def test_strangers_and_the_locked_out_see_none() -> None:
    arrive(HELLO)
    locked_out = User.objects.create_user("bob", is_active=False)

    assert list(visible_to(AnonymousUser())) == []
    assert list(visible_to(locked_out)) == []


def test_the_canary_is_seen_by_its_own_user_alone() -> None:
    ada, canary = (User.objects.create_user(name) for name in ("ada", CANARY))
    for machine_id in ("web-1", CANARY):
        Machine.objects.create(machine_id=machine_id)

    assert [one.machine_id for one in visible_to(ada)] == ["web-1"]
    assert [one.machine_id for one in visible_to(canary)] == [CANARY]


def test_an_agent_that_leaves_is_expected_again_when_it_says_hello() -> None:
    machine, _ = arrive(HELLO)

    assert leave(machine.pk, timezone.now()) == machine
    machine.refresh_from_db()
    assert machine.left_at is not None

    again, _ = arrive(HELLO)
    assert again.left_at is None


def test_a_goodbye_that_comes_after_the_next_hello_is_not_noted() -> None:
    before = timezone.now()
    machine, _ = arrive(HELLO)

    assert leave(machine.pk, before) is None

    machine.refresh_from_db()
    assert machine.left_at is None
