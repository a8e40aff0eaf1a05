from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from hub.events.bus import set_bus
from hub.people import throttle
from hub.storage import layouts
from hub.storage.hot import set_hot


@pytest.fixture(autouse=True)
def _own_memory() -> Iterator[None]:
    """Nothing is remembered of a database that the test before it had."""
    if settings.REDIS_URL:
        import redis

        redis.Redis.from_url(settings.REDIS_URL).flushdb()
    set_bus(None)
    set_hot(None)
    layouts.forget_all()
    throttle.forget()
    yield
    set_bus(None)
    set_hot(None)
