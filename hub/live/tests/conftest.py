"""Two machines, one of which has never sent anything, and somebody who may look."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from hub.events.bus import set_bus
from hub.live.tests.line import store
from hub.machines.models import Machine
from hub.storage import layouts
from hub.storage.layouts import LayoutInfo, SeriesInfo

CPU = SeriesInfo("system.cpu.utilization", "1", "gauge", "Share of time busy.")
HEAT = SeriesInfo("hw.temperature", "Cel", "gauge", "Heat.", (("sensor", "a"),))


@pytest.fixture(autouse=True)
def _own_bus() -> Iterator[None]:
    set_bus(None)
    yield
    set_bus(None)


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def layout(db: None) -> LayoutInfo:
    return layouts.learn([CPU, HEAT])


@pytest.fixture
def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def web_1(layout: LayoutInfo, now_ms: int) -> Machine:
    machine = Machine.objects.create(machine_id="web-1", name="Web one", interval_s=5)
    store(machine, layout, now_ms - 5000, 0.25, float("nan"))
    return machine


@pytest.fixture
def new_1(db: None) -> Machine:
    return Machine.objects.create(machine_id="new-1", interval_s=5)
