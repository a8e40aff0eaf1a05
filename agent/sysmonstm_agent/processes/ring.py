"""What was seen, for ten minutes and no more bytes than there may be."""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

from sysmonstm_proto import metrics_pb2 as pb

AGE_S = 600.0
# A full snapshot is about 4 KiB: a hundred of them.
CAPACITY_BYTES = 400 * 1024


class Kept(NamedTuple):
    """A snapshot as bytes: a tenth of what it weighs as objects."""

    at_s: float
    taken_ms: int
    span_ms: int
    message: bytes


class Ring:
    """Safe in any thread. The oldest go first."""

    def __init__(
        self, *, age_s: float = AGE_S, capacity_bytes: int = CAPACITY_BYTES
    ) -> None:
        self._age_s, self._capacity_bytes = age_s, capacity_bytes
        self._kept: deque[Kept] = deque()
        self._lock = threading.Lock()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, snapshot: pb.ProcessSnapshot, at_s: float) -> None:
        """Keep a snapshot that was taken at `at_s` of the monotonic clock."""
        message = snapshot.SerializeToString()
        kept = Kept(at_s, snapshot.taken_unix_ms, snapshot.span_ms, message)
        with self._lock:
            self._kept.append(kept)
            self.size_bytes += len(message)
            while (
                self.size_bytes > self._capacity_bytes
                or at_s - self._kept[0].at_s > self._age_s
            ):
                self.size_bytes -= len(self._kept.popleft().message)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self.size_bytes = 0

    def nearest(self, around_ms: int) -> pb.ProcessSnapshot:
        """Return what says most about a moment; an empty one if there is none."""
        with self._lock:
            best = min(
                self._kept, key=lambda k: distance_ms(k, around_ms), default=None
            )
        return pb.ProcessSnapshot.FromString(best.message if best else b"")


def distance_ms(kept: Kept, around_ms: int) -> float:
    """Return how far it is off; one that spans long says little of any moment."""
    off_ms = max(around_ms - kept.taken_ms, kept.taken_ms - kept.span_ms - around_ms, 0)
    return off_ms + kept.span_ms / 4
