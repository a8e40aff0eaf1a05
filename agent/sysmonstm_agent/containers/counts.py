"""What a container has used so far."""

from __future__ import annotations

from typing import NamedTuple

from sysmonstm_agent.metric import NAN


class Counts(NamedTuple):
    """Totals since its start, and its memory now; NaN = it is not known.

    `at_s` is by any clock that stays the same for one container.
    """

    at_s: float
    cpu_s: float
    memory_bytes: float
    # NaN: as much as the machine has.
    memory_limit_bytes: float = NAN
    received_bytes: float = NAN
    sent_bytes: float = NAN
    read_bytes: float = NAN
    written_bytes: float = NAN
