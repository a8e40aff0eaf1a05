"""When to look at the processes: pure, but for the clock that comes in.

    quiet     every 30 s, so that there is something to compare with
    high      every 10 s, while the machine is close to its limits
    a rise    at once, and again 2 s later: the first sees what may be gone by
              then, the second sees only what the rise is made of

A look that took long is paid for by later ones: the share of a core that all
this takes is bounded, however many processes there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from sysmonstm_agent.collectors.cpu import UTILIZATION as CPU
from sysmonstm_agent.collectors.memory import UTILIZATION as MEMORY
from sysmonstm_agent.collectors.pressure import SOME as PRESSURE
from sysmonstm_agent.metric import Reading

QUIET_S = 30.0
HIGH_S = 10.0
RISING_S = 5.0
CLOSER_S = 2.0
# Ticks that go on rising are one rise.
ONE_RISE_S = 15.0
UNASKED_S = 60.0

# Of a core. What is not spent is saved for a rise, so much and no more: this, or
# some looks where one takes longer.
SHARE = 0.0003
SAVINGS_S = 0.1
SAVED_LOOKS = 3
# One look says nothing: there is nothing to compare it with.
FIRST_LOOKS = 2
# Of those, what only a rise may spend: its two.
RESERVED_LOOKS = 2

# The tick's part in what is usual: about the last half minute.
WEIGHT = 0.2


class Vitals(NamedTuple):
    """Shares, 0 to 1. NaN = unknown, which neither rises nor is high."""

    cpu: float
    memory: float
    pressure: float


# Above what is usual, and at all.
RISE = Vitals(cpu=0.25, memory=0.04, pressure=0.15)
HIGH = Vitals(cpu=0.80, memory=0.90, pressure=0.40)


def vitals(readings: Iterable[Reading]) -> Vitals:
    cpu, memory, pressure = math.nan, math.nan, math.nan
    for metric, value, attributes in readings:
        if metric is CPU and not attributes:
            cpu = value
        elif metric is MEMORY:
            memory = value
        elif metric is PRESSURE:
            pressure = value if math.isnan(pressure) else max(pressure, value)
    return Vitals(cpu, memory, pressure)


class Pace:
    """Says when the next look is due. Moments are of the monotonic clock."""

    def __init__(self, now_s: float) -> None:
        self._usual: Vitals | None = None
        self._is_high = False
        self._due_s = now_s
        self._closer_s = math.inf
        self._rose_s = -math.inf
        self._unasked_s = -math.inf
        self._looks = 0
        self._cost_s = 0.0
        self._saved_s = SAVINGS_S / 2
        self._saved_at_s = now_s

    def feel(self, now: Vitals, now_s: float) -> bool:
        """Take in a tick; True: what was said of the next look has changed."""
        usual = self._usual or now
        rises = any(a - b >= c for a, b, c in zip(now, usual, RISE, strict=True))
        self._is_high = any(a >= b for a, b in zip(now, HIGH, strict=True))
        self._usual = Vitals(*map(_mixed, usual, now))
        if not rises:
            return self._hurry(now_s + HIGH_S) if self._is_high else False
        if now_s - self._rose_s <= ONE_RISE_S:
            return self._hurry(now_s + RISING_S)
        self._rose_s = now_s
        self._closer_s = now_s + CLOSER_S
        self._due_s = now_s
        return True

    def wait_s(self, now_s: float) -> float:
        """Return how long it is until the next look."""
        is_urgent = self._closer_s < math.inf or self._looks < FIRST_LOOKS
        needed_s = 0.0 if is_urgent else RESERVED_LOOKS * self._cost_s
        poor_s = (needed_s - self._savings(now_s)) / SHARE
        return max(self._due_s - now_s, poor_s, 0.0)

    def looked(self, now_s: float, cost_s: float) -> bool:
        """Note a look and its cost; True: the hub shall see it unasked."""
        saved_s = self._savings(now_s)
        self._cost_s, self._saved_s, self._saved_at_s = cost_s, saved_s - cost_s, now_s
        self._looks += 1
        is_closer = now_s >= self._closer_s
        if is_closer:
            self._closer_s = math.inf
        self._due_s = now_s + (HIGH_S if self._is_high else QUIET_S)
        is_alone = self._looks < FIRST_LOOKS
        self._hurry(now_s + CLOSER_S if is_alone else self._closer_s)
        if not is_closer or now_s - self._unasked_s < UNASKED_S:
            return False
        self._unasked_s = now_s
        return True

    def _hurry(self, due_s: float) -> bool:
        sooner = due_s < self._due_s
        self._due_s = min(self._due_s, due_s)
        return sooner

    def _savings(self, now_s: float) -> float:
        earned_s = (now_s - self._saved_at_s) * SHARE
        most_s = max(SAVINGS_S, SAVED_LOOKS * self._cost_s)
        return min(self._saved_s + earned_s, most_s)


def _mixed(usual: float, now: float) -> float:
    if math.isnan(usual) or math.isnan(now):
        return now
    return usual + WEIGHT * (now - usual)
