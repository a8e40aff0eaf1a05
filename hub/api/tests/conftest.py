"""Two machines with ten minutes of samples, one without any."""

from __future__ import annotations

import time

import numpy as np
import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from hub.machines import registry
from hub.machines.models import Machine
from hub.people import tokens
from hub.people.models import Scope
from hub.people.roles import OPERATOR
from hub.storage import layouts, raw
from hub.storage.hot import get_hot
from hub.storage.layouts import LayoutInfo, SeriesInfo
from hub.storage.sample import StoredSample

INTERVAL_S, SAMPLES = 5, 120
CPU = SeriesInfo("system.cpu.utilization", "1", "gauge", "Share of time busy.")
ROOT, DATA = (
    SeriesInfo(
        "system.filesystem.utilization",
        "1",
        "gauge",
        "Share of the space in use.",
        (("system.filesystem.mountpoint", mount),),
    )
    for mount in ("/", "/data")
)
LOAD = SeriesInfo("system.cpu.load_average.1m", "{task}", "gauge", "Load.")
HOT = SeriesInfo("hw.temperature", "Cel", "gauge", "Heat.", (("sensor", "a:b"),))


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def token(user: User) -> str:
    return tokens.create("test", user)


@pytest.fixture
def client(token: str) -> Client:
    """A program that holds a token."""
    return Client(headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def operator(user: User) -> Client:
    """A program that may operate, of a person who may."""
    user.groups.add(Group.objects.get_or_create(name=OPERATOR)[0])
    return program(user, Scope.OPERATE)


def program(user: User, scope: str) -> Client:
    secret = tokens.create(f"a {scope} token", user, scope=scope)
    return Client(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def web_1(db: None, now_ms: int) -> Machine:
    """The cpu counts up by 0.001, / is full by 0.5, and /data has no reading."""
    layout = layouts.learn([CPU, ROOT, DATA, LOAD, HOT])
    machine = arrive("web-1")
    store(
        machine,
        layout,
        now_ms,
        [(0.001 * n, 0.5, np.nan, 1.25, 61) for n in range(1, SAMPLES + 1)],
    )
    return machine


@pytest.fixture
def odd(db: None, now_ms: int) -> Machine:
    """A machine of another layout, with a name that has to be escaped."""
    machine = arrive("büro 50% a+b?#&")
    store(machine, layouts.learn([LOAD]), now_ms - 3_600_000, [(2.5,)])
    return machine


@pytest.fixture
def new(db: None) -> Machine:
    return arrive("new-1")


def arrive(machine_id: str) -> Machine:
    machine, _ = registry.arrive(
        registry.Arrival(
            machine_id=machine_id,
            agent_version="0.1.0",
            os="Debian GNU/Linux 12",
            kernel="6.1.0",
            architecture="x86_64",
            boot_time_ms=1_795_000_000_000,
            interval_s=INTERVAL_S,
        )
    )
    return machine


def store(
    machine: Machine,
    layout: LayoutInfo,
    last_ms: int,
    rows: list[tuple[float, ...]],
) -> None:
    """Put rows in as the writer would; the last one was taken at `last_ms`."""
    samples = [
        StoredSample(
            machine=machine.pk,
            layout=layout.id,
            sequence=number,
            time_ms=last_ms - (len(rows) - number) * INTERVAL_S * 1000,
            received_ms=last_ms - (len(rows) - number) * INTERVAL_S * 1000 + 40,
            values=np.array(row, "<f4").tobytes(),
        )
        for number, row in enumerate(rows, start=1)
    ]
    raw.write([raw.Incoming(sample, b"e" * 16) for sample in samples])
    get_hot().put(samples)
