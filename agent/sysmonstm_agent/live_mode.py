"""Samples between the ticks, for as long as somebody watches.

It has its own collectors, and so its own rates: those that are stored are measured
from tick to tick, whoever watches. Without a lease there is no thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sysmonstm_proto import limits

from sysmonstm_agent.layout import Sample
from sysmonstm_agent.log import log
from sysmonstm_agent.measuring import Ticks
from sysmonstm_agent.sampler import Sampler

LEAST_INTERVAL_S = 1.0


class LiveMode:
    """Safe in any thread."""

    def __init__(
        self,
        make: Callable[[], Sampler],
        *,
        told: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
        least_s: float = LEAST_INTERVAL_S,
    ) -> None:
        """`make` makes a sampler of its own; `told` is called with each sample."""
        self._make, self._told, self._clock = make, told, clock
        self._least_s = least_s
        self._changed = threading.Condition()
        self._ticks = Ticks(clock(), least_s)
        self._until_s = 0.0
        self._thread: threading.Thread | None = None
        self._is_stale = False
        # One: where the hub is slow the newest wins, and nothing waits in a line.
        self._newest: Sample | None = None

    @property
    def on(self) -> bool:
        return self._thread is not None

    def lease(self, interval_s: float, lease_s: float) -> tuple[float, float]:
        """Go on for so long; return what is granted. 0 = end now."""
        interval_s = min(max(interval_s, self._least_s), limits.MAX_INTERVAL_S)
        lease_s = min(max(lease_s, 0.0), limits.MAX_LEASE_S)
        with self._changed:
            now_s = self._clock()
            self._until_s = now_s + lease_s
            if not lease_s:
                self._newest = None
            elif self._thread is None:
                self._start(interval_s, now_s)
            self._ticks.change(interval_s, now_s)
            self._changed.notify()
        return interval_s, lease_s

    def renew(self) -> None:
        """The settings have changed: measure with other collectors."""
        with self._changed:
            self._is_stale = True

    def instant(self) -> Sample | None:
        """Return the newest sample, once."""
        newest, self._newest = self._newest, None
        return newest

    def _start(self, interval_s: float, now_s: float) -> None:
        self._ticks = Ticks(now_s, interval_s)
        self._is_stale = True
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        sampler: Sampler | None = None
        while self._wait():
            try:
                sampler = self._measure(sampler)
            # A collector's failure is the sampler's; any other is no end either.
            except Exception:  # noqa: BLE001
                log.exception("live.failed")
            with self._changed:
                self._ticks.took(self._clock())

    def _measure(self, sampler: Sampler | None) -> Sampler:
        with self._changed:
            is_stale, self._is_stale = self._is_stale, False
        if sampler is None or is_stale:
            sampler = self._make()
            # Rates need readings to begin with: these are not shown.
            sampler.readings()
            return sampler
        sample = sampler.sample()
        with self._changed:
            if self._clock() >= self._until_s:
                return sampler
            self._newest = sample
        self._told()
        return sampler

    def _wait(self) -> bool:
        """Return when a sample is due; False: the lease is over."""
        with self._changed:
            while (now_s := self._clock()) < self._until_s:
                wait_s = self._ticks.due_s - now_s
                if wait_s <= 0:
                    self._ticks.begin()
                    return True
                self._changed.wait(min(wait_s, self._until_s - now_s))
            self._thread = None
        return False
