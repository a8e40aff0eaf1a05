"""Which machines say nothing, in words."""

from __future__ import annotations

import time
from collections.abc import Collection

from hub.machines.models import Machine
from hub.machines.presence import Presence, presence
from hub.storage import states

WORDS = {
    Presence.STALE: "is late",
    Presence.OFFLINE: "has gone silent",
    Presence.STOPPED: "was stopped",
    Presence.NEVER: "has never sent a sample",
}


def of(machines: Collection[Machine]) -> dict[int, str]:
    """Return for each machine what is wrong; "" = it is there."""
    samples = states.latest(machines)
    now_ms = time.time_ns() // 1_000_000
    found = {}
    for machine in machines:
        sample = samples.get(machine.pk)
        there = presence(
            seen_ms=sample.received_ms if sample else None,
            now_ms=now_ms,
            interval_s=machine.interval_s,
            left_at=machine.left_at,
        )
        found[machine.pk] = WORDS.get(there, "")
    return found
