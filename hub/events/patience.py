"""How long to wait before trying again, and when not to try at all."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

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

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = 0.0
        self._waits = waits()

    def refuses(self) -> bool:
        return self._clock() < self._until

    def succeeded(self) -> None:
        if self._until:
            self._until = 0.0
            self._waits = waits()

    def failed(self) -> None:
        self._until = self._clock() + next(self._waits)
