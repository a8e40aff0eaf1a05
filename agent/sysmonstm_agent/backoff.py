"""How long to wait before trying again."""

from __future__ import annotations

import random
from collections.abc import Callable

BASE_S = 1.0
CAP_S = 60.0
# A hub that takes agents in and falls over at once must not be hammered: only
# this long a connection counts as a good one.
STABLE_S = 60.0
# Who is not let in is not let in a second later either.
REFUSED_S = 60.0


class Backoff:
    """Exponential with full jitter: agents that lost one hub return one by one."""

    def __init__(self, *, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._ceiling_s = BASE_S

    def after_failure(self, *, lasted_s: float) -> float:
        """Return the pause before the next try, in [0, ceiling), ceiling <= CAP_S."""
        if lasted_s >= STABLE_S:
            self._ceiling_s = BASE_S
        pause_s = self._chance() * self._ceiling_s
        self._ceiling_s = min(CAP_S, self._ceiling_s * 2)
        return pause_s

    def when_told(self, after_s: float) -> float:
        """Return the pause when the hub named one itself: about that long."""
        # Never none, or a hub that says so each time is called without end.
        return min(CAP_S, max(BASE_S, after_s) * (0.5 + self._chance()))

    def when_refused(self) -> float:
        """Return the pause when the hub's door was shut, in [60 s, 120 s)."""
        return REFUSED_S * (1 + self._chance())
