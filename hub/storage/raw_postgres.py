"""The four steps of a raw write on PostgreSQL: binary COPY, rows made by numpy."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from django.db import connection

from hub.storage import binary
from hub.storage.sample import StoredSample
from hub.storage.settle import Move
from hub.storage.tiers import WRITERS_LOCK

_COLUMNS = "time, sequence, machine_id, layout_id, delay_ms, values"
_COPY = f"COPY {{}} ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_SCALARS = (
    ("time", ">i8"),
    ("sequence", ">i8"),
    ("machine", ">i4"),
    ("layout", ">i4"),
    ("delay_ms", ">i4"),
)
_INT4 = np.iinfo(np.int32)

# One way to the server and back. Each statement sees what was committed before it
# began, so the watermark is read when nobody can move it any more.
_ENTER = f"""
SELECT pg_advisory_xact_lock_shared({WRITERS_LOCK});
SELECT (extract(epoch FROM closing) * 1000)::bigint FROM storage_watermark
WHERE tier = 'minute';
"""
_LOCK = """
SELECT machine_id, spool_epoch, sequence FROM storage_cursor
WHERE machine_id = ANY(%s::int[]) ORDER BY machine_id FOR UPDATE
"""
_BEGIN = """
INSERT INTO storage_cursor (machine_id, spool_epoch, sequence, time, received)
SELECT id, '', 0, 'epoch', 'epoch' FROM machines_machine
WHERE id = ANY(%s::int[]) ORDER BY id
ON CONFLICT DO NOTHING
"""
_MOVE = """
UPDATE storage_cursor c
SET spool_epoch = e.epoch, sequence = e.sequence,
    time = 'epoch'::timestamptz + e.time_ms * interval '1 millisecond',
    received = 'epoch'::timestamptz + e.received_ms * interval '1 millisecond',
    stored = c.stored + e.stored
FROM unnest(%s::int[], %s::bytea[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[]) AS e (machine, epoch, sequence, stored, time_ms, received_ms)
WHERE c.machine_id = e.machine
"""
# With what is rare: repeats, refusals, holes, and nothing stored at all.
_MOVE_FURTHER = """
UPDATE storage_cursor c
SET spool_epoch = e.epoch, sequence = e.sequence,
    time = coalesce('epoch'::timestamptz + e.time_ms * interval '1 millisecond', time),
    received = coalesce(
        'epoch'::timestamptz + e.received_ms * interval '1 millisecond', received),
    stored = c.stored + e.stored,
    before = c.before + e.before, refused = c.refused + e.refused,
    skipped = c.skipped + e.skipped, duplicates = c.duplicates + e.duplicates,
    skipped_at = CASE WHEN e.skipped > 0
        THEN 'epoch'::timestamptz + %s::bigint * interval '1 microsecond'
        ELSE skipped_at END
FROM unnest(%s::int[], %s::bytea[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
    AS e (machine, epoch, sequence, stored, time_ms, received_ms,
        before, refused, skipped, duplicates)
WHERE c.machine_id = e.machine
"""


def lock(
    machines: Sequence[int],
) -> tuple[dict[int, tuple[bytes, int]], int | None]:
    """Hold the cursors of these machines until the transaction ends.

    New machines get one; machines that do not exist are left out. Also returns
    the moment (Unix ms) before which a sample is late; None = none is.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ENTER + _LOCK, [_array(machines)])
        cursor.nextset()
        closing = cursor.fetchone()
        cursor.nextset()
        positions = _found(cursor)
        missing = [machine for machine in machines if machine not in positions]
        if missing:
            cursor.execute(_BEGIN, [_array(missing)])
            cursor.execute(_LOCK, [_array(missing)])
            positions |= _found(cursor)
    return positions, closing and closing[0]


def insert(samples: list[StoredSample]) -> list[StoredSample]:
    """Store samples that are not there yet; raise IntegrityError if one is."""
    _copy(samples, "storage_sample")
    return samples


def insert_missing(samples: list[StoredSample]) -> list[StoredSample]:
    """Store those samples that are not there yet, and return them; slower."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE arriving (LIKE storage_sample) ON COMMIT DROP"
        )
        _copy(samples, "arriving")
        cursor.execute(
            f"INSERT INTO storage_sample ({_COLUMNS}) SELECT {_COLUMNS} FROM arriving"
            " ON CONFLICT DO NOTHING RETURNING machine_id, sequence,"
            " (extract(epoch FROM time) * 1000)::bigint"
        )
        keys = set(cursor.fetchall())
        cursor.execute("DROP TABLE arriving")
    return [s for s in samples if (s.machine, s.sequence, s.time_ms) in keys]


def move(moves: Sequence[Move]) -> None:
    """Move the cursors on, and count."""
    columns = [
        _array([move.machine for move in moves]),
        _array([f'"\\\\x{move.epoch.hex()}"' for move in moves]),
        _array([move.sequence for move in moves]),
        _array([move.stored for move in moves]),
        _array([move.last.time_ms if move.last else "NULL" for move in moves]),
        _array([move.last.received_ms if move.last else "NULL" for move in moves]),
    ]
    statement = _MOVE
    if not all(move.is_plain for move in moves):
        statement = _MOVE_FURTHER
        # By our clock, as the reports are.
        now_us = time.time_ns() // 1000
        columns = [
            str(now_us),
            *columns,
            _array([move.before for move in moves]),
            _array([move.refused for move in moves]),
            _array([move.skipped for move in moves]),
            _array([move.duplicates for move in moves]),
        ]
    with connection.cursor() as cursor:
        cursor.execute(statement, columns)


def _found(cursor: Any) -> dict[int, tuple[bytes, int]]:
    return {machine: (bytes(epoch), at) for machine, epoch, at in cursor.fetchall()}


def _array(items: Sequence[int | str]) -> str:
    # As text: for 2,000 items psycopg's own lists take longer than the whole batch.
    return f"{{{','.join(map(str, items))}}}"


def _copy(samples: list[StoredSample], table: str) -> None:
    # Django leaves the errors of copy() as they are.
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(_COPY.format(table)) as copy,
    ):
        copy.write(rows(samples))


def rows(samples: Sequence[StoredSample]) -> bytes:
    """Return the samples as the bytes that COPY takes."""
    by_size: defaultdict[int, list[StoredSample]] = defaultdict(list)
    for sample in samples:
        by_size[len(sample.values)].append(sample)
    parts = [_rows(same, size // 4) for size, same in by_size.items()]
    return b"".join([binary.SIGNATURE, *parts, binary.TRAILER])


def _rows(samples: list[StoredSample], length: int) -> bytes:
    # Packed floats are one field more, as wide as all of them.
    fields = (*_SCALARS, ("values", f"({length},)<f4"))
    block = binary.blank(len(samples), fields, (), 0)
    time_ms = np.array([s.time_ms for s in samples], np.int64)
    received_ms = np.array([s.received_ms for s in samples], np.int64)
    block["time"] = binary.timestamps(time_ms)
    block["sequence"] = [s.sequence for s in samples]
    block["machine"] = [s.machine for s in samples]
    block["layout"] = [s.layout for s in samples]
    block["delay_ms"] = np.clip(received_ms - time_ms, _INT4.min, _INT4.max)
    values = np.frombuffer(b"".join([s.values for s in samples]), "<f4")
    block["values"] = values.reshape(len(samples), length)
    return block.tobytes()
