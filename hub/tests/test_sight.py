"""Every way to ask shows the same machines to the same person."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from hub.alerts.models import Alert
from hub.health import scrape
from hub.live.frames import Close
from hub.live.tests.line import line
from hub.machines.models import Machine, Sight, Tag
from hub.people import tokens
from hub.people.roles import Role

pytestmark = pytest.mark.django_db

TAGS = ("a", "b", "c")
NAMES = [f"m{number}" for number in range(6)]
GROUPS = ("north", "south", Role.OPERATOR.value, Role.ADMINISTRATOR.value)


@dataclass
class World:
    """Machines with tags, people with limits, and who should see what."""

    people: list[User] = field(default_factory=list)
    expected: dict[str, set[str]] = field(default_factory=dict)


def world(seed: int) -> World:
    chance = random.Random(seed)
    tags = {name: Tag.objects.create(name=name) for name in TAGS}
    worn: dict[str, set[str]] = {}
    for name in NAMES:
        worn[name] = {tag for tag in TAGS if chance.random() < 0.4}
        machine = Machine.objects.create(machine_id=name)
        machine.tags.set([tags[tag] for tag in worn[name]])
        _alert(machine)
    _alert(None)
    limits: dict[str, set[str]] = {}
    for name in GROUPS[:3]:
        group, _ = Group.objects.get_or_create(name=name)
        if chance.random() < 0.4:
            limits[name] = set(chance.sample(TAGS, chance.randint(0, 2)))
            Sight.objects.create(group=group).tags.set(
                [tags[tag] for tag in limits[name]]
            )
    made = World()
    for number in range(4):
        user = User.objects.create_user(
            f"person{number}", is_superuser=chance.random() < 0.1
        )
        mine = {name for name in GROUPS if chance.random() < 0.25}
        user.groups.set([Group.objects.get_or_create(name=name)[0] for name in mine])
        held = [limits[name] for name in mine if name in limits]
        if chance.random() < 0.4:
            own = set(chance.sample(TAGS, chance.randint(0, 2)))
            Sight.objects.create(user=user).tags.set([tags[tag] for tag in own])
            held.append(own)
        free = not held or user.is_superuser or Role.ADMINISTRATOR.value in mine
        may = set().union(*held)
        made.people.append(user)
        made.expected[user.username] = {
            name for name in NAMES if free or worn[name] & may
        } | ({"gone"} if free else set())
    return made


def _alert(machine: Machine | None) -> None:
    Alert.objects.create(
        snapshot={"name": "Disk"},
        machine=machine,
        machine_title=machine.title if machine else "gone",
        series_key=machine.title if machine else "gone",
        state="firing",
        severity="warning",
        peak_severity="warning",
        opened_at=timezone.now(),
        changed_at=timezone.now(),
    )


def _asked(client: Client, user: User) -> dict[str, set[str]]:
    """Return what each page and each answer names."""
    rest = client.get("/api/machines").json()["machines"]
    alerts = client.get("/api/alerts").json()["alerts"]
    overview = client.get("/").content.decode()
    # What /metrics/machines sends.
    metrics = b"".join(scrape.pieces(user)).decode()
    told = client.get("/alerts/open.json").json()
    page = client.get("/alerts/").content.decode()
    return {
        "rest": {one["id"] for one in rest},
        "page": set(re.findall(r'data-id="(m\d)"', overview)),
        "own page": {
            name for name in NAMES if client.get(f"/machines/{name}/").status_code < 400
        },
        "history": {
            name
            for name in NAMES
            if client.get(f"/api/machines/{name}/metrics").status_code < 400
        },
        "metrics": set(re.findall(r'machine="(m\d)"', metrics)),
        "alerts": {one["machine"] or "gone" for one in alerts},
        "badge": {*told["machines"], *(["gone"] * (told["unanswered"] > 6))},
        "alert page": set(re.findall(r">(m\d|gone)<", page)),
    }


@pytest.mark.parametrize("seed", range(8))
async def test_pages_rest_and_sockets_show_each_person_the_same(seed: int) -> None:
    made = await database_sync_to_async(world)(seed)

    for user in made.people:
        client = Client()
        await database_sync_to_async(client.force_login)(user)
        expected = made.expected[user.username]
        machines = expected - {"gone"}
        found = await database_sync_to_async(_asked)(client, user)
        async with line(client) as browser:
            told = await browser.frame()
        found["socket"] = {one["id"] for one in told["machines"]}
        # By its name nobody is told of another one either, nor by a pattern.
        for name in ["*", *sorted(set(NAMES) - machines)[:1]]:
            async with line(client, machine=name) as browser:
                assert await browser.ended() is Close.NOT_FOUND

        assert found == {
            **dict.fromkeys(found, machines),
            "alerts": expected,
            "alert page": expected,
            "badge": found["badge"],
        }
        assert found["badge"] - {"gone"} == machines


def test_a_program_sees_what_its_person_sees() -> None:
    made = world(3)
    for user in made.people:
        secret = tokens.create(user.username, user)

        answer = Client().get(
            "/api/machines", headers={"Authorization": f"Bearer {secret}"}
        )

        seen = {one["id"] for one in answer.json()["machines"]}
        assert seen == made.expected[user.username] - {"gone"}


def test_the_worlds_hold_every_kind_of_person() -> None:
    """Else the walk through them says little."""
    kinds = set()
    for seed in range(8):
        for model in (Alert, Machine, Tag, Sight, User):
            model.objects.all().delete()
        for seen in world(seed).expected.values():
            kinds.add("all" if "gone" in seen else "some" if seen else "none")

    assert kinds == {"all", "some", "none"}
