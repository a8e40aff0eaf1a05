from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from hub.events.bus import set_bus
from hub.people import throttle


@pytest.fixture(autouse=True)
def _own_memory() -> Iterator[None]:
    """Nothing is remembered of the test before."""
    if settings.REDIS_URL:
        import redis

        redis.Redis.from_url(settings.REDIS_URL).flushdb()
    set_bus(None)
    throttle.forget()
    yield
    set_bus(None)
