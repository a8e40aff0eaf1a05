"""The breaker before what a stream or the writer would wait for."""

from __future__ import annotations

from hub.events.patience import Breaker

FIRST_S = 0.5
LONGEST_S = 15.0


def breaker() -> Breaker:
    """Return one of the hot path's own: a thread or a batch waits for each try."""
    return Breaker(first_s=FIRST_S, longest_s=LONGEST_S)
