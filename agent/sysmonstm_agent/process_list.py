"""The processes of this moment, for somebody who looks at them now."""

from __future__ import annotations

import time
from collections.abc import Callable

from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

from sysmonstm_agent.files import Files
from sysmonstm_agent.processes.snapshots import Arguments, Snapshots
from sysmonstm_agent.processes.watch import memory_bytes, source

# What is a rate is measured over at least so long, and not over what nobody waited.
LEAST_S = 1.0
MOST_S = 30.0


class ProcessList:
    """Whoever asks again soon gets rates since the time before, without waiting.

    Belongs to one thread at a time.
    """

    def __init__(
        self,
        files: Files,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._files = files
        self._clock, self._wall, self._sleep = clock, wall, sleep
        self._snapshots: Snapshots | None = None
        self._arguments: Arguments = "none"
        self._looked_s = 0.0
        self._newest: pb.ProcessList | None = None

    def answer(self, limit: int, arguments: Arguments) -> pb.ProcessList:
        """Takes about a second where nobody has asked for a while."""
        age_s = self._clock() - self._looked_s
        if self._snapshots is None or age_s > MOST_S or arguments != self._arguments:
            self._snapshots = self._begin(arguments)
            self._newest = None
            age_s = 0.0
        if self._newest is None or age_s >= LEAST_S:
            self._sleep(max(LEAST_S - age_s, 0.0))
            self._newest = self._look(self._snapshots)
        told = pb.ProcessList()
        told.CopyFrom(self._newest)
        del told.entries[limit or limits.MAX_LISTED_PROCESSES :]
        return told

    def forget(self) -> None:
        """Nobody looks any more."""
        self._snapshots = self._newest = None

    def _begin(self, arguments: Arguments) -> Snapshots:
        snapshots = Snapshots(
            source(self._files),
            arguments=arguments,
            memory_bytes=memory_bytes(self._files),
            clock=self._clock,
            wall=self._wall,
            each=limits.MAX_LISTED_PROCESSES,
            most=limits.MAX_LISTED_PROCESSES,
        )
        self._arguments, self._looked_s = arguments, self._clock()
        snapshots.take()
        return snapshots

    def _look(self, snapshots: Snapshots) -> pb.ProcessList:
        snapshot = snapshots.take() or pb.ProcessSnapshot()
        self._looked_s = self._clock()
        return pb.ProcessList(
            taken_unix_ms=snapshot.taken_unix_ms,
            span_ms=snapshot.span_ms,
            total=snapshots.total,
            entries=snapshot.entries,
        )
