"""Nothing is remembered of the test before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from hub.events.bus import set_bus
from hub.health.shelf import set_shelf


@pytest.fixture(autouse=True)
def _own_memory() -> Iterator[None]:
    if settings.REDIS_URL:
        import redis

        redis.Redis.from_url(settings.REDIS_URL).flushdb()
    forget()
    yield
    forget()


def forget() -> None:
    set_bus(None)
    set_shelf(None)
