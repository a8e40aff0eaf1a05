"""So many at once, and then one every so often."""

from __future__ import annotations

import time
from collections.abc import Callable


class Allowance:
    def __init__(
        self,
        burst: int,
        every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst, self._every_s, self._clock = burst, every_s, clock
        self._left = float(burst)
        self._at_s = clock()

    def allow(self, amount: float = 1) -> bool:
        """Take so many; False: there are not as many left."""
        now_s = self._clock()
        earned = (now_s - self._at_s) / self._every_s
        self._left = min(self._left + earned, float(self._burst))
        self._at_s = now_s
        if self._left < amount:
            return False
        self._left -= amount
        return True

    def wait_s(self, amount: float = 1) -> float:
        """Return how long until there are so many, as of the last time of asking."""
        return max(0.0, amount - self._left) * self._every_s
