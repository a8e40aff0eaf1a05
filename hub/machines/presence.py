"""Is a machine there? Judged by the hub's clock alone.

A page counts on between two frames, so it is given the same four numbers.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

# Two lost ticks are no news; the floors keep fast agents from flickering.
ONLINE_INTERVALS = 3
ONLINE_FLOOR_S = 15.0
STALE_INTERVALS = 12
STALE_FLOOR_S = 60.0


class Presence(StrEnum):
    ONLINE = "online"
    STALE = "stale"
    OFFLINE = "offline"
    # Its agent said goodbye.
    STOPPED = "stopped"
    NEVER = "never"


def presence(
    *,
    seen_ms: int | None,
    now_ms: int,
    interval_s: float,
    left_at: datetime | None = None,
) -> Presence:
    """Judge a machine by when the hub last received a sample from it.

    What comes after a goodbye takes it back.
    """
    if left_at is not None and to_ms(left_at) >= (seen_ms or 0):
        return Presence.STOPPED
    if seen_ms is None:
        return Presence.NEVER
    age_s = (now_ms - seen_ms) / 1000
    if age_s <= max(ONLINE_INTERVALS * interval_s, ONLINE_FLOOR_S):
        return Presence.ONLINE
    if age_s <= max(STALE_INTERVALS * interval_s, STALE_FLOOR_S):
        return Presence.STALE
    return Presence.OFFLINE


def to_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
