from __future__ import annotations

import pytest

from hub.alerts.models import Rule
from hub.alerts.tests.office import Office
from hub.alerts.tests.world import NOON_MS, World
from hub.storage.hot import set_hot
from hub.storage.hot_memory import MemoryHot


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def world(db: None) -> World:
    Rule.objects.all().delete()
    found = World()
    set_hot(MemoryHot(clock=lambda: found.now_ms / 1000))
    assert found.now_ms == NOON_MS
    return found
