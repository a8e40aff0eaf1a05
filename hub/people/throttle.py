"""How often something may be tried: by account, by address, by whatever key.

A window begins with the first try and not at a stroke of the clock, where somebody who
waits for it would get two windows' worth of tries at once. Counted in Redis where
several processes serve, else in this process. Calls may wait for Redis: asynchronous
code asks in a thread.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import redis
from django.conf import settings

from hub.log import get_logger
from hub.people import secrets

log = get_logger(__name__)

# Keys kept in memory; the oldest goes first. An attacker with more addresses than
# this has better ways.
MAX_KEYS = 100_000

TIMEOUT_S = 0.5
# Before every key.
prefix = "sysmonstm:throttle:"
# After Redis did not answer it is left alone this long.
AWAY_S = 5.0


class Memory:
    """Counts of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # When the key's window ends, and the tries in it.
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def count(self, key: str, window_s: float) -> int:
        """Count one more try; return how many there were in the present window."""
        now_s = self._clock()
        with self._lock:
            ends_s, count = self._counts.pop(key, (0.0, 0))
            if now_s >= ends_s:
                ends_s, count = now_s + window_s, 0
            count += 1
            self._counts[key] = (ends_s, count)
            while len(self._counts) > MAX_KEYS:
                self._counts.popitem(last=False)
            return count

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()


class Shared:
    """Counts of all processes, in Redis; of this process while Redis is away."""

    def __init__(
        self, url: str, memory: Memory, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        )
        self._memory = memory
        self._clock = clock
        self._away_until_s = 0.0

    def count(self, key: str, window_s: float) -> int:
        # Always: what was counted here still counts when Redis goes away.
        own = self._memory.count(key, window_s)
        now_s = self._clock()
        if now_s < self._away_until_s:
            return own
        try:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.set(key, 0, px=int(window_s * 1000), nx=True)
                pipe.incr(key)
                return int(pipe.execute()[1])
        except redis.RedisError as away:
            self._away_until_s = now_s + AWAY_S
            log.warning("throttle.redis_down", error=str(away))
            return own


_memory = Memory()
_shared: dict[str, Shared] = {}


def hit(kind: str, key: str, *, limit: int, window_s: float) -> bool:
    """Count a try; False = there were too many, and it must not be answered."""
    # A key may be a name that somebody typed, of any length.
    counted = f"{prefix}{kind}:{secrets.digest(key)}"
    return _counts().count(counted, window_s) <= limit


def forget() -> None:
    """Begin anew in this process, for tests."""
    _memory.clear()


def _counts() -> Memory | Shared:
    url = settings.REDIS_URL
    if not url:
        return _memory
    if url not in _shared:
        _shared[url] = Shared(url, _memory)
    return _shared[url]
