"""A spool that lives as long as its process."""

from __future__ import annotations

import os
import threading
from collections import deque
from itertools import islice

from sysmonstm_proto import limits

from sysmonstm_agent.layout import Sample
from sysmonstm_agent.log import log
from sysmonstm_agent.spool import Spooled

# Some ten hours of 100 series at 5 s.
CAPACITY_BYTES = 4 * 1024 * 1024
# What a sample takes beside its values, measured: tuples, numbers, the deque.
OVERHEAD_BYTES = 160
DEGRADED = "Samples wait in memory only: a restart of the agent loses them."


class MemorySpool:
    def __init__(self, *, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        self._lock = threading.Lock()
        self._samples: deque[Sample] = deque()
        self._size_bytes = 0
        self._full = False
        self.epoch = os.urandom(limits.SPOOL_EPOCH_BYTES)
        self.last = 0
        self.evicted = 0
        self.lost = 0
        self.handed_out = 0
        self.degraded = DEGRADED

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def oldest(self) -> int:
        with self._lock:
            return self._first if self._samples else 0

    @property
    def produced(self) -> int:
        return self.last

    def append(self, sample: Sample) -> int:
        with self._lock:
            self._samples.append(sample)
            self._size_bytes += size_bytes(sample)
            self.last += 1
            while self._size_bytes > self._capacity_bytes and len(self._samples) > 1:
                self._drop_oldest()
                self.evicted += 1
                if not self._full:
                    self._full = True
                    log.warning("spool.full", samples=len(self._samples))
            return self.last

    def read(self, after: int, limit: int) -> list[Spooled]:
        with self._lock:
            start = max(0, after + 1 - self._first)
            chosen = islice(self._samples, start, start + limit)
            found = [Spooled(n, s) for n, s in enumerate(chosen, self._first + start)]
            if found:
                self.handed_out = max(self.handed_out, found[-1].sequence)
            return found

    def newest(self) -> Spooled | None:
        with self._lock:
            return Spooled(self.last, self._samples[-1]) if self._samples else None

    def forget(self, up_to: int) -> None:
        with self._lock:
            while self._samples and self._first <= up_to:
                self._drop_oldest()
            if self._full and self._size_bytes < self._capacity_bytes // 2:
                self._full = False
                log.info("spool.drained", evicted=self.evicted)

    def renew(self) -> None:
        with self._lock:
            self.epoch = os.urandom(limits.SPOOL_EPOCH_BYTES)
            self.last = len(self._samples)
            self.evicted = self.handed_out = 0

    def close(self) -> None:
        """Nothing outlives the process."""

    @property
    def _first(self) -> int:
        """The number of the leftmost sample: those here have no holes."""
        return self.last - len(self._samples) + 1

    def _drop_oldest(self) -> None:
        self._size_bytes -= size_bytes(self._samples.popleft())


def size_bytes(sample: Sample) -> int:
    return len(sample.values) + OVERHEAD_BYTES
