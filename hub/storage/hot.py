"""Hot state: the newest sample and the last five minutes of every machine."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from django.conf import settings

from hub.storage.hot_memory import MemoryHot
from hub.storage.hot_redis import RedisHot
from hub.storage.hot_terms import HotDown
from hub.storage.processes import Snapshot
from hub.storage.sample import StoredSample
from hub.storage.trail import Trail

__all__ = ["Hot", "HotDown", "get_hot", "set_hot"]


class Hot(Protocol):
    """Safe in any thread; every method raises HotDown (temporary) within a second."""

    def put(self, samples: Sequence[StoredSample]) -> None:
        """Take samples in; one older than five minutes is left out.

        Of each machine the newest by time is the latest.
        """

    def latest(self, pks: Iterable[int] | None = None) -> dict[int, StoredSample]:
        """Return the latest sample of these machines, or of all.

        A machine that has been silent for five minutes has none.
        """

    def recent(self, pk: int) -> list[StoredSample]:
        """Return the last five minutes of a machine, ascending by time."""

    def trails(self, pks: Sequence[int]) -> Mapping[int, Trail]:
        """Return the CPU of each machine's last 60 minutes, oldest first.

        A minute without a reading is None.
        """

    def put_processes(self, snapshot: Snapshot) -> None:
        """Take a snapshot in; a machine keeps its newest few for 15 minutes."""

    def processes(self, pk: int) -> list[Snapshot]:
        """Return a machine's snapshots of the last 15 minutes, ascending by time."""

    def put_layout(self, number: int, description: bytes) -> bytes:
        """Keep what a provisional layout says for 15 minutes; return what is kept.

        Another description is returned when the number was taken before.
        """

    def layout(self, number: int) -> bytes | None:
        """Return what a provisional layout says; None = it is not known."""

    def ready(self) -> None:
        """Return when the store answers."""


_lock = threading.Lock()
_hot: Hot | None = None


def get_hot() -> Hot:
    """Return this process's hot state: Redis where there is one, else memory."""
    global _hot
    # Two threads that ask first must not get a memory each.
    with _lock:
        if _hot is None:
            _hot = RedisHot(settings.REDIS_URL) if settings.REDIS_URL else MemoryHot()
        return _hot


def set_hot(hot: Hot | None) -> None:
    """Replace this process's hot state; None = by the settings again."""
    global _hot
    _hot = hot
