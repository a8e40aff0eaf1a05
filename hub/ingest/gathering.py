"""How long a transaction waits for others to join it.

Each costs the hub and the database some milliseconds, however little is in it. Where
many machines send, waiting longer makes fewer and larger ones, and nobody who looks at
a page notices a tenth of a second; where one sends, there is nobody to wait for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

GATHER_S = 0.03
# From so many machines a second on.
LONGER = ((400, 0.2), (40, 0.1))


class Gathering:
    """`wait_s` is by how many came between the last two transactions."""

    def __init__(
        self,
        at_least_s: float = GATHER_S,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_least_s, self._clock = at_least_s, clock
        self._last_s = clock()
        self.wait_s = at_least_s

    def took(self, machines: int) -> None:
        """Note that a transaction begins, with what so many machines sent."""
        now_s = self._clock()
        passed_s, self._last_s = now_s - self._last_s, now_s
        if self._at_least_s:
            longer = (long_s for many, long_s in LONGER if machines >= many * passed_s)
            self.wait_s = max(self._at_least_s, next(longer, 0.0))
