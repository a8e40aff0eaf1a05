"""For how long has a machine been silent, while somebody could have heard it?

Only by the hub's clock, and only what passed while the hub could hear: after it
was blind (away, paused, cut off from its events) the count begins anew, and what
has not been heard since gets the time that agents take to come back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hub.alerts.conditions import Floats, Times

# Agents try again at the latest after a minute, and a thousand of them at once
# take their time to be let in.
RECONNECT_MS = 120_000
# Less is no silence, however fast a machine's interval is.
FLOOR_MS = 30_000
# A tick that comes so much too late: the process, or the whole hub, was stopped.
PAUSE_MS = 20_000
# Nobody at all was heard for so long: it is the hub's ears, not everybody's voice.
DEAF_MS = 35_000
# Without a test machine (`hub.health.prober`) as the witness, that is believed
# for so long: a single machine that stops is not the hub's fault.
UNWITNESSED_MS = 300_000


def intervals(
    *, seen_ms: int | None, hears_since_ms: int, now_ms: int, interval_s: float
) -> float:
    """Return the silence in the machine's own intervals; 0 = no silence to speak of."""
    if seen_ms is None:
        # It has never been heard: there is nothing to miss.
        return 0.0
    silent_ms = now_ms - max(seen_ms, hears_since_ms)
    patience_ms = FLOOR_MS if seen_ms >= hears_since_ms else RECONNECT_MS
    if silent_ms < patience_ms:
        return 0.0
    return silent_ms / (interval_s * 1000)


def intervals_of(
    *, seen_ms: int, hears_since_ms: Times, now_ms: Times, interval_s: float
) -> Floats:
    """Return `intervals` at many moments."""
    silent_ms = now_ms - np.maximum(seen_ms, hears_since_ms)
    patience_ms = np.where(seen_ms >= hears_since_ms, FLOOR_MS, RECONNECT_MS)
    found = np.where(silent_ms < patience_ms, 0.0, silent_ms / (interval_s * 1000))
    return found.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The hub was blind from and until, in Unix milliseconds."""

    start_ms: int
    end_ms: int
    why: str


class Ears:
    """Knows since when this process hears the fleet. Moments are the hub's clock."""

    def __init__(self, now_ms: int) -> None:
        self.hears_since_ms = now_ms
        self._ticked_ms = now_ms
        self._heard_ms = now_ms
        # When something was heard last, whenever it had been received.
        self._listened_ms = now_ms
        self._witness_ms: int | None = None
        self._deaf_from: int | None = None
        self._beat_ms: int | None = None

    def hear(self, received_ms: int, now_ms: int, *, is_witness: bool = False) -> None:
        """Note a sample, of whichever machine, and when it came here."""
        self._heard_ms = max(self._heard_ms, received_ms)
        self._listened_ms = max(self._listened_ms, now_ms)
        if is_witness:
            self._witness_ms = max(self._witness_ms or 0, received_ms)

    def beat(self, beat_ms: int) -> Stretch | None:
        """Note when something last took samples; tell of a pause that ended.

        By the heartbeat of whoever listens to agents (`storage.away`).
        """
        last, self._beat_ms = self._beat_ms, beat_ms
        if last is None or beat_ms - last <= DEAF_MS:
            return None
        return self._blind(last, beat_ms, "nothing took samples")

    def tick(self, now_ms: int) -> Stretch | None:
        """Look at the clock, every few seconds; tell of a blindness that ended."""
        last, self._ticked_ms = self._ticked_ms, now_ms
        if now_ms - last > PAUSE_MS:
            self._deaf_from = None
            return self._blind(last, now_ms, "the evaluation stood still")
        if self._deaf_from is not None and self._heard_ms > self._deaf_from:
            start, self._deaf_from = self._deaf_from, None
            return self._blind(start, self._heard_ms, "nothing was received")
        if self._deaf_from is None and now_ms - self._heard_ms > DEAF_MS:
            self._deaf_from = self._heard_ms
        return None

    def is_blind(self, now_ms: int) -> bool:
        """Whether silence means nothing at this moment."""
        if now_ms - self._ticked_ms > PAUSE_MS:
            return True
        if self._beat_ms is not None and now_ms - self._beat_ms > DEAF_MS:
            return True
        silent_ms = now_ms - self._heard_ms
        if silent_ms <= DEAF_MS:
            return False
        if now_ms - self._listened_ms <= DEAF_MS:
            # What comes now was received long ago: we are behind, or our clock and
            # that of whoever takes samples disagree.
            return True
        # The witness was there until the end: it would be heard if we could hear.
        witnessed = (
            self._witness_ms is not None
            and self._heard_ms - self._witness_ms <= DEAF_MS
        )
        return witnessed or silent_ms <= UNWITNESSED_MS

    def _blind(self, start_ms: int, end_ms: int, why: str) -> Stretch:
        self.hears_since_ms = max(self.hears_since_ms, end_ms)
        return Stretch(start_ms, end_ms, why)
