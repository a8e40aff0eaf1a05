"""The thread that takes a sample every interval."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Protocol

from sysmonstm_agent.layout import Sample
from sysmonstm_agent.log import log
from sysmonstm_agent.spool import Spool

# How long a tick may still take once the thread is told to end.
STOP_S = 0.5
# What changes the measuring waits for a tick that is nearer than this, so that no
# rate is measured over a moment.
SETTLE_S = 0.5


class Taker(Protocol):
    def sample(self) -> Sample: ...


class Ticks:
    """When the next sample is due. Moments are of the monotonic clock."""

    def __init__(self, now_s: float, interval_s: float) -> None:
        self.due_s = now_s
        self._anchor_s = now_s
        self._last_s = -math.inf
        self.interval_s = interval_s

    def begin(self) -> None:
        """Note that the sample that is due is being taken."""
        self._last_s = self.due_s

    def took(self, now_s: float) -> None:
        """Note that it has been taken."""
        self.due_s = now_s + until_next(self._anchor_s, now_s, self.interval_s)
        # A hair before its own moment, by the rounding of floats.
        if self.due_s - self._last_s < self.interval_s / 2:
            self.due_s += self.interval_s

    def change(self, interval_s: float, now_s: float) -> None:
        """Go on with another interval, which counts from the last sample on.

        Two samples are never nearer than it, nor farther than the longer of both.
        """
        if interval_s == self.interval_s:
            return
        self.interval_s = interval_s
        self.due_s = max(self._last_s + interval_s, now_s)
        self._anchor_s = self.due_s


class Measuring:
    """It knows neither the network nor the event loop, and so waits for neither.

    A daemon: where the kernel does not come back from a read, the agent still ends.
    """

    def __init__(
        self,
        sampler: Taker,
        spool: Spool,
        *,
        interval_s: float,
        appended: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sampler = sampler
        self._spool = spool
        self._appended = appended
        self._clock = clock
        self._ticks = Ticks(clock(), interval_s)
        self._changed = threading.Condition()
        self._is_stopped = False
        self._job: Callable[[], object] | None = None
        self._thread = threading.Thread(target=self._run, name="measure", daemon=True)

    def start(self) -> None:
        self._ticks = Ticks(self._clock(), self._ticks.interval_s)
        self._thread.start()

    def stop(self) -> None:
        """End after the tick that is being taken, or without it if it is stuck."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        self._thread.join(STOP_S)

    def set_interval(self, interval_s: float) -> None:
        with self._changed:
            self._ticks.change(interval_s, self._clock())
            self._changed.notify()

    def between(self, job: Callable[[], object]) -> None:
        """Have the thread do this soon, between two ticks; the newest job wins."""
        with self._changed:
            self._job = job
            self._changed.notify()

    def _run(self) -> None:
        while (due := self._wait()) is not None:
            try:
                due()
            # The one loop that must live: a full disk under the spool passes.
            except Exception:  # noqa: BLE001
                log.exception("sample.failed")

    def _wait(self) -> Callable[[], object] | None:
        """Return what to do once it is time; None: nothing any more."""
        with self._changed:
            while not self._is_stopped:
                wait_s = self._ticks.due_s - self._clock()
                if wait_s <= 0:
                    self._ticks.begin()
                    return self._tick
                if self._job and wait_s > min(SETTLE_S, self._ticks.interval_s / 2):
                    job, self._job = self._job, None
                    return job
                self._changed.wait(wait_s)
        return None

    def _tick(self) -> None:
        try:
            self._spool.append(self._sampler.sample())
            self._appended()
        finally:
            with self._changed:
                self._ticks.took(self._clock())


def until_next(start_s: float, now_s: float, interval_s: float) -> float:
    """Return how long it is to the next multiple of the interval since the start.

    Ticks do not drift, however long one took; those that were missed (the machine
    was suspended, or stalled) are left out, not made up for.
    """
    return interval_s - (now_s - start_s) % interval_s
