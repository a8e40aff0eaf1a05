from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis
from channels.layers import channel_layers
from django.conf import settings
from django.contrib.auth.models import User

from hub.events.bus import set_bus
from hub.machines.models import Machine, Tag
from hub.storage import layouts
from hub.storage.hot import get_hot, set_hot
from hub.storage.layouts import SeriesInfo
from hub.storage.sample import StoredSample

CPU = SeriesInfo("system.cpu.utilization", "1", "gauge", "Share of time busy.")


@pytest.fixture(autouse=True)
def _own_memory() -> Iterator[None]:
    """Nothing is remembered of a database that the test before it had."""
    silence_all()
    _forget()
    yield
    _forget()


def silence_all() -> None:
    """Let nothing have been heard of any machine."""
    if settings.REDIS_URL:
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            client.flushdb()
    set_hot(None)


def _forget() -> None:
    set_bus(None)
    channel_layers.backends.clear()


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def atlas(db: None) -> Machine:
    return Machine.objects.create(machine_id="atlas")


@pytest.fixture
def nas(db: None) -> Machine:
    return Machine.objects.create(machine_id="nas")


@pytest.fixture
def database_tag(db: None) -> Tag:
    return Tag.objects.create(name="database")


@pytest.fixture
def fleet(db: None, database_tag: Tag) -> list[Machine]:
    """Five machines with the tag, of which the first is offline."""
    machines = [
        Machine.objects.create(machine_id=f"db-{n}", interval_s=5) for n in range(5)
    ]
    database_tag.machines.set(machines)
    for machine in machines[1:]:
        seen(machine)
    return machines


def seen(machine: Machine, *, ago_s: float = 0.0) -> None:
    layout = layouts.learn([CPU])
    at_ms = int((time.time() - ago_s) * 1000)
    get_hot().put([StoredSample(machine.pk, layout.id, 1, at_ms, at_ms, b"\0\0\0\0")])
