"""Counters become rates."""

from __future__ import annotations

from collections.abc import Hashable

from sysmonstm_agent.metric import NAN


class Rates:
    """Remembers the counters of the tick before.

    Call `tick` once, then `rate` for each counter. A counter that is new, or
    fell (its device was replaced, its driver reloaded, it wrapped), has no rate
    this tick: NaN, never a guess and never a spike. What was not asked for in
    one tick is forgotten in the next.
    """

    def __init__(self) -> None:
        self._before: dict[Hashable, float] = {}
        self._counts: dict[Hashable, float] = {}
        self._now_s = NAN
        self._elapsed_s = NAN

    def tick(self, now_s: float) -> None:
        """Begin a tick at this time of a monotonic clock."""
        self._elapsed_s = now_s - self._now_s
        self._now_s = now_s
        self._before, self._counts = self._counts, {}

    def rate(self, counter: Hashable, count: float) -> float:
        """Return the counter's growth per second since the tick before."""
        self._counts[counter] = count
        grown = count - self._before.get(counter, NAN)
        return grown / self._elapsed_s if grown >= 0 and self._elapsed_s > 0 else NAN
