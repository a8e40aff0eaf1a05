"""A small fleet with ten minutes of samples, and somebody who may see it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from bench.seed import fill
from hub.alerts.models import Rule
from hub.machines.models import Machine
from hub.people.roles import OPERATOR

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada", password="correct horse")


@pytest.fixture
def client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def fleet(db: None) -> list[Machine]:
    """Three machines, just heard: atlas, nas and router."""
    pks = fill(3, minutes=10, gaps=False)
    return [Machine.objects.get(pk=pk) for pk in pks]


@pytest.fixture
def rule(db: None) -> Rule:
    return Rule.objects.create(
        name="Disk nearly full",
        metric="system.filesystem.utilization",
        operator="gte",
        warning=0.85,
        critical=0.95,
        for_s=300,
        note="Look at {machine}: {value} of {series}.",
        runbook_url="https://wiki.example/disk",
    )


@pytest.fixture
def operator(user: User) -> User:
    user.groups.add(Group.objects.get_or_create(name=OPERATOR)[0])
    return user
