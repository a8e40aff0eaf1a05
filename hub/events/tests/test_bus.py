from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from hub.events.bus import get_bus, set_bus
from hub.events.memory import MemoryBus
from hub.events.redis_streams import RedisStreamsBus


@pytest.fixture(autouse=True)
def _no_bus_before_or_after() -> Iterator[None]:
    set_bus(None)
    yield
    set_bus(None)


def test_without_redis_events_stay_in_memory(settings: Settings) -> None:
    settings.REDIS_URL = ""

    assert isinstance(get_bus(), MemoryBus)


def test_with_redis_they_pass_between_processes(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    assert isinstance(get_bus(), RedisStreamsBus)


def test_a_process_has_one_bus() -> None:
    assert get_bus() is get_bus()
