"""A key in Redis that lives only while periodic tasks are really run.

Beat sends, the broker carries, a worker runs: when any of them stops, nothing
renews the key. `deploy/probe.py` looks at it.
"""

from __future__ import annotations

import redis

KEY = "health:canary"

# Six times the interval at which beat sends it.
LIFETIME_S = 180
TIMEOUT_S = 2.0


def sing(url: str) -> None:
    with redis.Redis.from_url(
        url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
    ) as client:
        client.set(KEY, 1, ex=LIFETIME_S)
