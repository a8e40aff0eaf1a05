"""A circuit breaker: do not ask again at once somebody who did not answer."""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0


class Breaker:
    """Closed while all is well; after a failure open for a doubling pause."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause_s = 0.0
        self._open_until = 0.0

    @property
    def open(self) -> bool:
        """True: do not try now."""
        return self._clock() < self._open_until

    @property
    def broken(self) -> bool:
        """True from the first failure until the next success."""
        return self._pause_s > 0

    def failed(self) -> None:
        self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2 or FIRST_PAUSE_S)
        self._open_until = self._clock() + self._pause_s

    def succeeded(self) -> None:
        self._pause_s = 0.0
        self._open_until = 0.0
