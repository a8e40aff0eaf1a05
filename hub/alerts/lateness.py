"""Was a sample sent when it was taken? What was not, never fires and never resolves.

A machine's clock may be wrong by hours, so a delay alone says nothing. What tells
them apart: samples that were kept back come faster than they were taken, and their
delay shrinks; a wrong clock's stays. A delay that has stayed for a minute is the
clock's.
"""

from __future__ import annotations

from dataclasses import dataclass

INTERVALS = 3
FLOOR_MS = 30_000
STEADY_MS = 60_000


@dataclass(frozen=True, slots=True)
class Pace:
    """Of one machine, in milliseconds."""

    # Received (the hub's clock) less taken (its own), when nothing holds it up.
    offset_ms: int | None = None
    # Another delay that may become the offset, and since when it has been seen.
    other_ms: int = 0
    other_since_ms: int | None = None


def limit_ms(interval_s: float) -> int:
    """Return how much later than usual a sample is still in time."""
    return max(round(INTERVALS * interval_s * 1000), FLOOR_MS)


def admit(
    pace: Pace, time_ms: int, received_ms: int, *, limit: int
) -> tuple[Pace, bool]:
    """Return the pace after a sample, and whether it came in time."""
    delay = received_ms - time_ms
    usual = pace.offset_ms
    if usual is None:
        # Before anything is known of its clock, it is believed to be right.
        usual = 0 if abs(delay) > limit else delay
    if -limit <= delay - usual <= limit:
        # Quick ones say what the way takes; the clock may drift.
        quickest = delay if delay < usual else usual + (delay - usual) // 64
        return Pace(quickest), True
    since = pace.other_since_ms
    if since is None or abs(delay - pace.other_ms) > limit // 2:
        return Pace(usual, delay, received_ms), False
    if received_ms - since >= STEADY_MS:
        return Pace(delay), True
    return Pace(usual, pace.other_ms, since), False
