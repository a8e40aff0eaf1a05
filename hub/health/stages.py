"""The way of a test sample through the hub, judged: pure arithmetic.

sent ──▶ commit: stored and acknowledged
     ──▶ event: heard on the bus
     ──▶ frame: in a browser's hands
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

STAGES = COMMIT, EVENT, FRAME = ("commit", "event", "frame")

# What has not come by then did not come: counted as so long.
DEADLINE_S = 30.0
# Seen by people as "not live any more".
SLOW_S = 2.0
# Rounds that are judged together: five minutes of them.
ROUNDS = 30
# One slow round after a start is no news.
FEWEST = 3

Seconds = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Status:
    """What the prober found last; None = no answer within DEADLINE_S."""

    ended_ms: int
    seconds: dict[str, float | None]
    # What values take to be shown while that is too long; None = it is not.
    slow_s: float | None
    late_since_ms: int | None


class Late(StrEnum):
    """What is late, worst first."""

    STORING = "storing"
    SHOWING = "showing"
    SLOW = "slow"


def judge(seconds: Seconds, slow_s: float | None) -> Late | None:
    """Tell what is late, if anything is."""
    if seconds[COMMIT] is None:
        return Late.STORING
    if seconds[EVENT] is None or seconds[FRAME] is None:
        return Late.SHOWING
    return None if slow_s is None else Late.SLOW


def sentence(late: Late | None, slow_s: float | None) -> str:
    """Say it to people: what it is, and what it means for them."""
    if late is Late.STORING:
        return (
            "The hub is late: it did not store its own test sample within "
            f"{DEADLINE_S:.0f} s. Agents keep their samples until it does."
        )
    if late is Late.SHOWING:
        return (
            "The hub is late: its own test sample was not shown within "
            f"{DEADLINE_S:.0f} s. Values may be old; samples are stored."
        )
    if late is Late.SLOW:
        return (
            f"The hub is late: values take up to {slow_s:.1f} s to be shown. "
            "None are lost."
        )
    return ""


def percentile(values: Collection[float], share: float) -> float | None:
    """Return the smallest value that at least `share` of all do not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def slow_s(rounds: Iterable[Seconds]) -> float | None:
    """Return what 95 of 100 frames took at most, while that is too long.

    None when it is quick, when there are too few rounds to say, and as soon as
    the last few were quick again: then it is over. What never came is not slow
    but late, and told as that.
    """
    frames = [took for one in rounds if (took := one[FRAME]) is not None]
    p95_s = percentile(frames, 0.95)
    if p95_s is None or len(frames) < FEWEST or max(frames[-FEWEST:]) <= SLOW_S:
        return None
    return p95_s if p95_s > SLOW_S else None


def measured(seconds: float | None) -> float:
    """Return a number to keep: what did not come took at least the deadline."""
    return DEADLINE_S if seconds is None else min(seconds, DEADLINE_S)
