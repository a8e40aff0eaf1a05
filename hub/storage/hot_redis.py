"""Hot state in Redis: shared by all processes, expires by itself.

    hot:latest         hash, machine → its newest sample
    hot:recent:<pk>    list of the last five minutes, in the order they came
    hot:processes:<pk> list of the newest snapshots of processes
    hot:layout:<n>     what a provisional layout says
    hot:cpu:<minute>   string of two bytes for each machine, see trail.py

One script takes a whole batch in: a round trip, and no race between processes
about which sample is the newest.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hub.storage import processes
from hub.storage.hot_terms import (
    LAYOUT_MS,
    PROCESSES_LIMIT,
    PROCESSES_MS,
    RECENT_LIMIT,
    RECENT_MS,
    HotDown,
)
from hub.storage.processes import Snapshot
from hub.storage.sample import StoredSample, pack, unpack
from hub.storage.trail import MINUTES, Minutes, Trail, draw, minutes_until

# Together below the second that callers are promised.
CONNECT_S = 0.3
ANSWER_S = 0.3
CONNECTIONS = 16
WAIT_FOR_CONNECTION_S = 0.2

# A long list is tidied at every eighth sample: readers leave out what is too old.
# An item is a message of one sample; its time stands 21 bytes in.
_PUT = """
local oldest, limit, ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local marks, trail_ttl = ARGV[4], ARGV[5]
local function time_of(item) return (struct.unpack('<i8', item, 22)) end
for n = 6, #ARGV do
  local item = ARGV[n]
  local machine, now = struct.unpack('<i4', item, 6), time_of(item)
  local latest = redis.call('HGET', KEYS[1], machine)
  if not latest or time_of(latest) <= now then
    redis.call('HSET', KEYS[1], machine, item)
  end
  local recent = KEYS[2] .. machine
  local length = redis.call('RPUSH', recent, item)
  if length <= 8 or length % 8 == 0 then
    while length > limit or time_of(redis.call('LINDEX', recent, 0)) < oldest do
      redis.call('LPOP', recent)
      length = length - 1
    end
    redis.call('PEXPIRE', recent, ttl)
  end
end
redis.call('PEXPIRE', KEYS[1], ttl)
local alive = {}
for at = 1, #marks, 10 do
  local minute, machine = struct.unpack('<i4i4', marks, at)
  local trail = KEYS[3] .. minute
  redis.call('SETRANGE', trail, 2 * machine, string.sub(marks, at + 8, at + 9))
  if not alive[minute] then
    redis.call('EXPIRE', trail, trail_ttl)
    alive[minute] = true
  end
end
"""
# Twice the time: of a slow machine eight samples may take longer than once.
_TTL_MS = 2 * RECENT_MS
_MARK = struct.Struct("<ii2s")
# A minute is drawn for an hour after it began.
_TRAIL_TTL_S = (MINUTES + 1) * 60


class RedisHot:
    """Hot state that every process of the hub sees."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "hot:",
        clock: Callable[[], float] = time.time,
    ) -> None:
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=WAIT_FOR_CONNECTION_S,
            socket_connect_timeout=CONNECT_S,
            socket_timeout=ANSWER_S,
            # Callers have the database; trying again would only make them wait.
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = redis.Redis(connection_pool=pool)
        self._put = self._redis.register_script(_PUT)
        self._latest = f"{prefix}latest"
        self._recent = f"{prefix}recent:"
        self._trail = f"{prefix}cpu:"
        self._processes = f"{prefix}processes:"
        self._layout = f"{prefix}layout:"
        self._minutes = Minutes()
        self._clock = clock

    def put(self, samples: Sequence[StoredSample]) -> None:
        oldest_ms = self._oldest_ms()
        fresh = [sample for sample in samples if sample.time_ms >= oldest_ms]
        if not fresh:
            return
        marks = b"".join(
            _MARK.pack(*key, mark) for key, mark in self._minutes.add(fresh).items()
        )
        limits: list[int | bytes] = [
            oldest_ms,
            RECENT_LIMIT,
            _TTL_MS,
            marks,
            _TRAIL_TTL_S,
        ]
        with _down():
            self._put(
                keys=[self._latest, self._recent, self._trail],
                args=[*limits, *(pack([sample]) for sample in fresh)],
            )

    def latest(self, pks: Iterable[int] | None = None) -> dict[int, StoredSample]:
        wanted = None if pks is None else list(pks)
        if wanted == []:
            return {}
        # The client's types allow for text, which it was not asked to decode.
        items: Any
        with _down():
            if wanted is None:
                items = self._redis.hvals(self._latest)
            else:
                items = self._redis.hmget(self._latest, wanted)
        return {s.machine: s for s in self._fresh(items)}

    def recent(self, pk: int) -> list[StoredSample]:
        items: Any
        with _down():
            items = self._redis.lrange(f"{self._recent}{pk}", -RECENT_LIMIT, -1)
        return sorted(self._fresh(items), key=lambda s: s.time_ms)

    def trails(self, pks: Sequence[int]) -> Mapping[int, Trail]:
        end = 2 * max(pks, default=0) + 1
        with _down(), self._redis.pipeline(transaction=False) as pipeline:
            for minute in minutes_until(self._clock()):
                pipeline.getrange(f"{self._trail}{minute}", 0, end)
            strings = pipeline.execute()
        return draw(pks, strings)

    def put_processes(self, snapshot: Snapshot) -> None:
        key = f"{self._processes}{snapshot.machine}"
        with _down(), self._redis.pipeline() as pipeline:
            pipeline.rpush(key, processes.pack(snapshot))
            pipeline.ltrim(key, -PROCESSES_LIMIT, -1)
            pipeline.pexpire(key, PROCESSES_MS)
            pipeline.execute()

    def processes(self, pk: int) -> list[Snapshot]:
        items: Any
        with _down():
            items = self._redis.lrange(f"{self._processes}{pk}", 0, -1)
        oldest_ms = self._oldest_ms(PROCESSES_MS)
        found = (processes.unpack(item) for item in items)
        fresh = [one for one in found if one.taken_ms >= oldest_ms]
        return sorted(fresh, key=lambda one: one.taken_ms)

    def put_layout(self, number: int, description: bytes) -> bytes:
        key = f"{self._layout}{number}"
        kept: Any
        with _down(), self._redis.pipeline() as pipeline:
            pipeline.set(key, description, nx=True)
            pipeline.pexpire(key, LAYOUT_MS)
            pipeline.get(key)
            *_, kept = pipeline.execute()
        return bytes(kept)

    def layout(self, number: int) -> bytes | None:
        found: Any
        with _down():
            found = self._redis.get(f"{self._layout}{number}")
        return None if found is None else bytes(found)

    def ready(self) -> None:
        with _down():
            self._redis.ping()

    def _fresh(self, items: Iterable[bytes | None]) -> Iterator[StoredSample]:
        oldest_ms = self._oldest_ms()
        for item in items:
            if item is None:
                continue
            [sample] = unpack(item)
            if sample.time_ms >= oldest_ms:
                yield sample

    def _oldest_ms(self, age_ms: int = RECENT_MS) -> int:
        return int(self._clock() * 1000) - age_ms


@contextmanager
def _down() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise HotDown(str(error) or type(error).__name__) from error
