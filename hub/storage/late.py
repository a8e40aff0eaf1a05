"""Samples that come after their minute was rolled up: it is marked, to be done again.

A mark is stored in the transaction that stores its sample. Whoever sees the one
sees the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db import connection

from hub.storage.models import Late
from hub.storage.sample import StoredSample
from hub.storage.tiers import from_ms

MINUTE_MS = 60_000

_INSERT_POSTGRES = """
INSERT INTO storage_late (machine_id, minute)
SELECT e.machine, 'epoch'::timestamptz + e.minute * interval '1 minute'
FROM unnest(%s::int[], %s::bigint[]) AS e (machine, minute)
"""


class Run(NamedTuple):
    """Minutes of a machine without a hole: [start, end) in Unix milliseconds."""

    machine: int
    start_ms: int
    end_ms: int


def mark(samples: Iterable[StoredSample]) -> None:
    """Note the minutes of these samples, in the transaction that stores them."""
    minutes = sorted({(s.machine, s.time_ms // MINUTE_MS) for s in samples})
    if not minutes:
        return
    if connection.vendor != "postgresql":
        Late.objects.bulk_create(
            Late(machine_id=machine, minute=from_ms(minute * MINUTE_MS))
            for machine, minute in minutes
        )
        return
    machines, numbers = zip(*minutes, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_POSTGRES, [list(machines), list(numbers)])


def runs(minutes: Iterable[tuple[int, int]]) -> Sequence[Run]:
    """Join neighbouring minutes, given as (machine, Unix ms), into runs."""
    found: list[Run] = []
    for machine, start_ms in sorted(set(minutes)):
        last = found[-1] if found else None
        if last and last.machine == machine and last.end_ms == start_ms:
            found[-1] = last._replace(end_ms=start_ms + MINUTE_MS)
        else:
            found.append(Run(machine, start_ms, start_ms + MINUTE_MS))
    return found
