"""How long to wait before trying again, and when not to try at all."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from functools import partial

FIRST_S = 0.1
# Live pages say that they wait; longer would keep them waiting for us.
LONGEST_S = 5.0


def waits(*, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> Iterator[float]:
    """Yield growing pauses for ever, each with up to half taken off by chance."""
    ceiling = first_s
    while True:
        yield random.uniform(ceiling / 2, ceiling)
        ceiling = min(longest_s, ceiling * 2)


class Breaker:
    """Refuse at once what has just failed, so that callers need not wait for it.

    Every writer's batch would otherwise stand still for the deadline of a
    broker that swallows packets.
    """

    def __init__(
        self,
        *,
        first_s: float = FIRST_S,
        longest_s: float = LONGEST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._new_waits = partial(waits, first_s=first_s, longest_s=longest_s)
        self._clock = clock
        self._until = 0.0
        self._waits = self._new_waits()

    @property
    def open(self) -> bool:
        """True: do not try now."""
        return self._clock() < self._until

    @property
    def broken(self) -> bool:
        """True from the first failure until the next success."""
        return self._until > 0

    def succeeded(self) -> None:
        if self._until:
            self._until = 0.0
            self._waits = self._new_waits()

    def failed(self) -> None:
        self._until = self._clock() + next(self._waits)
