"""The newest samples of a spool, in memory: ascending, without holes."""

from __future__ import annotations

from collections import deque
from itertools import islice

from sysmonstm_agent.memory_spool import size_bytes
from sysmonstm_agent.spool import Spooled


class Tail:
    def __init__(self) -> None:
        self._samples: deque[Spooled] = deque()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def first(self) -> int:
        """The oldest number here. There must be one."""
        return self._samples[0].sequence

    @property
    def newest(self) -> Spooled | None:
        return self._samples[-1] if self._samples else None

    def add(self, spooled: Spooled) -> None:
        self._samples.append(spooled)
        self.size_bytes += size_bytes(spooled.sample)

    def drop(self) -> None:
        """Drop the oldest."""
        self.size_bytes -= size_bytes(self._samples.popleft().sample)

    def after(self, sequence: int) -> list[Spooled]:
        return [one for one in self._samples if one.sequence > sequence]

    def slice(self, start: int, limit: int) -> list[Spooled]:
        """Return up to `limit` from the number `start` on."""
        if not self._samples:
            return []
        skip = max(0, start - self.first)
        return list(islice(self._samples, skip, skip + limit))

    def renumber(self, offset: int) -> None:
        moved = (Spooled(number - offset, sample) for number, sample in self._samples)
        self._samples = deque(moved)
