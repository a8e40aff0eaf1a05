"""What one process of the hub lets the others read, for a short while.

In memory while the hub is one process; a hash in Redis when it is several.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

# Readers are pages and scrapes: without an answer they show what they have.
TIMEOUT_S = 0.5

# Names of processes' numbers: this, the role and the place.
PREFIX = "metrics:"

# A hub that is not there any more leaves nothing behind.
FORGOTTEN_S = 3600

_UNTIL = struct.Struct("<d")


class ShelfDown(Exception):
    """The shelf cannot be reached now (temporary)."""


class Shelf(Protocol):
    """Safe in any thread; raises ShelfDown within a second or so."""

    def put(self, name: str, content: bytes, *, lifetime_s: float) -> None:
        """Lay something down under a name; the newest counts."""

    def read(self) -> Mapping[str, bytes]:
        """Return everything whose time is not over."""

    def close(self) -> None:
        """Let go of connections; what lies there stays."""


class MemoryShelf:
    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, bytes]] = {}

    def put(self, name: str, content: bytes, *, lifetime_s: float) -> None:
        with self._lock:
            self._kept[name] = self._clock() + lifetime_s, content

    def read(self) -> Mapping[str, bytes]:
        now = self._clock()
        with self._lock:
            self._kept = {n: kept for n, kept in self._kept.items() if kept[0] > now}
            return {name: content for name, (_, content) in self._kept.items()}

    def close(self) -> None:
        """There is nothing to let go of."""


class RedisShelf:
    """Each field begins with the moment at which it is over."""

    def __init__(
        self,
        url: str,
        *,
        key: str = "health:shelf",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._redis = redis.Redis.from_url(
            url,
            socket_connect_timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._key, self._clock = key, clock

    def put(self, name: str, content: bytes, *, lifetime_s: float) -> None:
        until = _UNTIL.pack(self._clock() + lifetime_s)
        with _down(), self._redis.pipeline(transaction=False) as pipeline:
            pipeline.hset(self._key, name, until + content)
            pipeline.expire(self._key, FORGOTTEN_S)
            pipeline.execute()

    def read(self) -> Mapping[str, bytes]:
        fields: Any
        with _down():
            fields = self._redis.hgetall(self._key)
        now = self._clock()
        found, over = {}, []
        for name, kept in fields.items():
            if _UNTIL.unpack_from(kept)[0] > now:
                found[name.decode()] = kept[_UNTIL.size :]
            else:
                over.append(name)
        if over:
            with _down():
                self._redis.hdel(self._key, *over)
        return found

    def close(self) -> None:
        self._redis.close()


@contextmanager
def _down() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise ShelfDown(str(error) or type(error).__name__) from error


_shelf: Shelf | None = None


def get_shelf() -> Shelf:
    """Return this process's shelf: in Redis where there is one, else in memory."""
    global _shelf
    if _shelf is None:
        url = settings.REDIS_URL
        _shelf = RedisShelf(url) if url else MemoryShelf()
    return _shelf


def set_shelf(shelf: Shelf | None) -> None:
    """Replace this process's shelf; None = by the settings again."""
    global _shelf
    if _shelf is not None and _shelf is not shelf:
        _shelf.close()
    _shelf = shelf
