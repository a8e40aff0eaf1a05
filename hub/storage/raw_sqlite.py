"""The four steps of a raw write on SQLite: plain statements, many at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from hub.storage.sample import StoredSample
from hub.storage.settle import Move

_EPOCH = datetime(1970, 1, 1)
_INSERT = """
INSERT INTO storage_sample
    (time, sequence, machine_id, layout_id, delay_ms, "values")
VALUES (%s, %s, %s, %s, %s, %s)
"""
# A move without a sample says NEVER: the times stay as they are.
_MOVE = """
INSERT INTO storage_cursor (machine_id, spool_epoch, sequence, time, received,
    stored, before, refused, skipped, duplicates, skipped_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (machine_id) DO UPDATE SET
    spool_epoch = excluded.spool_epoch, sequence = excluded.sequence,
    time = iif(excluded.time = '1970-01-01 00:00:00', time, excluded.time),
    received = iif(excluded.time = '1970-01-01 00:00:00', received, excluded.received),
    stored = stored + excluded.stored, before = before + excluded.before,
    refused = refused + excluded.refused, skipped = skipped + excluded.skipped,
    duplicates = duplicates + excluded.duplicates,
    skipped_at = coalesce(excluded.skipped_at, skipped_at)
"""
# The transaction is IMMEDIATE: whoever reads here already holds the one write lock.
_POSITIONS = """
SELECT m.id, coalesce(c.spool_epoch, x''), coalesce(c.sequence, 0)
FROM machines_machine m LEFT JOIN storage_cursor c ON c.machine_id = m.id
WHERE m.id IN (SELECT value FROM json_each(%s))
"""
_CLOSING = "SELECT closing FROM storage_watermark WHERE tier = 'minute'"


def lock(
    machines: Sequence[int],
) -> tuple[dict[int, tuple[bytes, int]], int | None]:
    """Return the cursors of these machines; those that do not exist are left out.

    Also returns the moment (Unix ms) before which a sample is late; None = none is.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLOSING)
        closing = cursor.fetchone()
        cursor.execute(_POSITIONS, [json.dumps(machines)])
        positions = {
            machine: (bytes(epoch), at) for machine, epoch, at in cursor.fetchall()
        }
    return positions, _ms(closing[0]) if closing and closing[0] else None


def insert(samples: list[StoredSample]) -> list[StoredSample]:
    """Store samples that are not there yet; raise IntegrityError if one is."""
    with connection.cursor() as cursor:
        cursor.executemany(_INSERT, [_row(sample) for sample in samples])
    return samples


def insert_missing(samples: list[StoredSample]) -> list[StoredSample]:
    """Store those samples that are not there yet, and return them; slower."""
    stored = []
    with connection.cursor() as cursor:
        for sample in samples:
            cursor.execute(_INSERT + "ON CONFLICT DO NOTHING", _row(sample))
            if cursor.rowcount:
                stored.append(sample)
    return stored


def move(moves: Sequence[Move]) -> None:
    """Move the cursors on, and count."""
    now = str(_EPOCH + timedelta(microseconds=time.time_ns() // 1000))
    with connection.cursor() as cursor:
        cursor.executemany(_MOVE, [_cursor_row(move, now) for move in moves])


def text(ms: int) -> str:
    """Return a moment as Django writes it in SQLite, so that both compare equal."""
    return str(_EPOCH + timedelta(milliseconds=ms))


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _row(s: StoredSample) -> tuple[Any, ...]:
    delay_ms = s.received_ms - s.time_ms
    return text(s.time_ms), s.sequence, s.machine, s.layout, delay_ms, s.values


def _cursor_row(move: Move, now: str) -> tuple[Any, ...]:
    last = move.last
    return (
        move.machine,
        move.epoch,
        move.sequence,
        text(last.time_ms if last else 0),
        text(last.received_ms if last else 0),
        move.stored,
        move.before,
        move.refused,
        move.skipped,
        move.duplicates,
        now if move.skipped else None,
    )
