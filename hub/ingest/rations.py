"""How much one agent may send in the long run, however often it connects.

Wide enough for a week's backlog at full speed; what it bounds is an agent that has
been taken over and wants to fill the database.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from sysmonstm_proto import metrics_pb2 as pb

from hub.ingest.allowance import Allowance

# A week at one a second, the longest spool at the shortest interval, and some; then
# twenty times what such an agent takes.
SAMPLES, SAMPLES_PER_S = 700_000, 20.0
# Eight times the usual spool; then 5 GiB a day, as of 2,000 series each second with
# as much again for their way there.
BYTES, BYTES_PER_S = 2 * 1024**3, 64.0 * 1024
# Lists of series that the hub has not seen before: containers come and go.
LAYOUTS, LAYOUT_EVERY_S = 120, 5.0
# They are kept as long as the hours that have them: 120 lists of 2,000 series, then
# one of 300 in a quarter of a minute, which is 180 MB a day.
LAYOUT_BYTES, LAYOUT_BYTES_PER_S = 16 * 1024**2, 2.0 * 1024

# About 500 bytes each; whoever was not heard for longest begins anew.
LIMIT = 20_000


class Exhausted(Exception):
    """An agent has had its share for now (temporary); says when to come back."""

    def __init__(self, what: str, wait_s: float) -> None:
        # Whole seconds, as HTTP's header of that name; not for ever either.
        self.retry_after_s = min(max(1, round(wait_s)), 3600)
        super().__init__(
            f"This agent sends too many {what}; come back in {self.retry_after_s} s."
        )


class Ration:
    """What is left of one machine's share.

    On the hot path: the clock is asked only when something has run out.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._filled_s = clock, clock()
        self._samples, self._bytes = float(SAMPLES), float(BYTES)
        self._layouts = Allowance(LAYOUTS, LAYOUT_EVERY_S, clock)
        self._described = Allowance(LAYOUT_BYTES, 1 / LAYOUT_BYTES_PER_S, clock)

    def samples(self, request: pb.MetricsRequest, count: int) -> None:
        """Take a message with so many samples; raises Exhausted."""
        size = request.ByteSize()
        self._samples -= count
        self._bytes -= size
        if self._samples < 0 or self._bytes < 0:
            self._fill(count, size)

    def layout(self, size_bytes: int) -> None:
        """Take a layout that is new to the hub; raises Exhausted."""
        if not self._layouts.allow():
            raise Exhausted("lists of series", self._layouts.wait_s())
        if not self._described.allow(size_bytes):
            raise Exhausted("new series", self._described.wait_s(size_bytes))

    def _fill(self, count: int, size: int) -> None:
        """Add what was earned since the last time; raises Exhausted."""
        now_s = self._clock()
        spent_s, self._filled_s = now_s - self._filled_s, now_s
        self._samples = min(self._samples + spent_s * SAMPLES_PER_S, SAMPLES)
        self._bytes = min(self._bytes + spent_s * BYTES_PER_S, BYTES)
        lack_s = max(-self._samples / SAMPLES_PER_S, -self._bytes / BYTES_PER_S)
        if lack_s > 0:
            what = "samples" if self._samples < 0 else "bytes"
            self._samples += count
            self._bytes += size
            raise Exhausted(what, lack_s)


class Rations:
    def __init__(
        self, limit: int = LIMIT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._clock = limit, clock
        self._known: OrderedDict[int, Ration] = OrderedDict()

    def of(self, machine: int) -> Ration:
        """Return a machine's own, the same for each of its streams."""
        ration = self._known.pop(machine, None) or Ration(self._clock)
        self._known[machine] = ration
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
        return ration
