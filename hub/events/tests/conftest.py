from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest
from django.conf import settings

from hub.events.bus import Bus
from hub.events.memory import MemoryBus
from hub.events.redis_streams import RedisStreamsBus

MakeBus = Callable[..., Bus]

# A member that has been silent for so long is dead, in these tests.
CLAIM_IDLE_S = 0.4


@pytest.fixture(
    params=["memory", pytest.param("redis", marks=pytest.mark.production_only)]
)
def bus(request: pytest.FixtureRequest) -> Bus:
    """Each bus in turn; a slow subscriber may have three events waiting."""
    if request.param == "memory":
        return MemoryBus(max_events=3)
    return RedisStreamsBus(
        settings.REDIS_URL, member="here", claim_idle_s=CLAIM_IDLE_S, max_events=3
    )


@pytest.fixture
def topic() -> str:
    # Redis keeps what another test has told.
    return f"test.{secrets.token_hex(8)}"
