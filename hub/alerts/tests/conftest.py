from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.alerts.models import Rule
from hub.alerts.tests.world import NOON_MS, World
from hub.storage import layouts
from hub.storage.hot import set_hot
from hub.storage.hot_memory import MemoryHot


@pytest.fixture(autouse=True)
def _fresh_process() -> Iterator[None]:
    # What was read from another test's database is gone.
    layouts.forget_all()
    yield
    set_hot(None)


@pytest.fixture
def world(db: None) -> World:
    Rule.objects.all().delete()
    found = World()
    set_hot(MemoryHot(clock=lambda: found.now_ms / 1000))
    assert found.now_ms == NOON_MS
    return found
