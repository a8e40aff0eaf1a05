"""Rows of the raw tier, read in bulk as numpy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hub.storage.bulk import (
    among,
    fetch,
    gathered_times,
    is_postgres,
    packed,
    times,
)
from hub.storage.sample import StoredSample

# Gathered by the database: a row for each sample takes longer to be parsed. By the
# hour, since a value in a row ends at a gigabyte.
_RANGE_POSTGRES = """
SELECT layout_id, length(values), array_agg(time), string_agg(values, '')
FROM storage_sample
WHERE machine_id = %s AND time >= %s AND time < %s
GROUP BY layout_id, length(values), date_trunc('hour', time)
"""
_MANY = 'SELECT layout_id, machine_id, time, "values" FROM storage_sample'
# The cursor says when the newest row was taken: one look into the index for a
# machine. Its sequence may be that of a sample that was refused. LIMIT also keeps
# PostgreSQL from reading whole chunks and joining them instead.
_NEWEST_POSTGRES = """
SELECT s.*
FROM storage_cursor c CROSS JOIN LATERAL (
  SELECT machine_id, layout_id, sequence, time, delay_ms, values FROM storage_sample
  WHERE machine_id = c.machine_id AND time = c.time AND time >= %s
  ORDER BY sequence DESC LIMIT 1
) s
WHERE c.machine_id = ANY(%s)
"""
_LAST_HEARD = "SELECT max(time) FROM storage_cursor WHERE machine_id = ANY(%s)"
# Most machines were heard a moment ago. Saying so leaves the older chunks out of the
# plan; looking for the right chunk of each machine takes five times as long.
_A_MOMENT = timedelta(hours=1)
_NEWEST_SQLITE = """
SELECT s.machine_id, s.layout_id, s.sequence, s.time, s.delay_ms, s."values"
FROM storage_cursor c CROSS JOIN storage_sample s
  ON s.machine_id = c.machine_id AND s.time = c.time AND s.sequence = (
    SELECT max(sequence) FROM storage_sample
    WHERE machine_id = c.machine_id AND time = c.time
  )
WHERE c.machine_id IN (SELECT value FROM json_each(%s))
"""
_EVER = datetime.min.replace(tzinfo=UTC)


class Block(NamedTuple):
    """Rows of one layout, in no order."""

    layout: int
    # int64, Unix milliseconds; float32, a row a sample.
    time_ms: NDArray[np.int64]
    values: NDArray[np.float32]


class Rows(NamedTuple):
    """Rows of one layout and many machines, in no order."""

    layout: int
    machine: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    values: NDArray[np.float32]


def between(machine: int, start: datetime, end: datetime) -> Iterator[Block]:
    """Yield a machine's rows in [start, end), a block for each layout."""
    if not is_postgres():
        for rows in of_many([machine], start, end) or ():
            yield Block(rows.layout, rows.time_ms, rows.values)
        return
    by_layout: dict[tuple[int, int], list[Any]] = {}
    found = fetch(_RANGE_POSTGRES, [machine, start, end])
    for layout, length, moments, content in found:
        by_layout.setdefault((layout, length), []).append((moments, content))
    for (layout, _), same in by_layout.items():
        moments, contents = zip(*same, strict=True)
        time_ms = np.concatenate([gathered_times(some) for some in moments])
        yield Block(layout, time_ms, packed(b"".join(contents), len(time_ms)))


def of_many(
    machines: Sequence[int], start: datetime, end: datetime, *, limit: int | None = None
) -> list[Rows] | None:
    """Return these machines' rows in [start, end); None if they are too many."""
    query = f"{_MANY} WHERE {among('machine_id')} AND time >= %s AND time < %s"
    params: list[Any] = [list(machines), start, end]
    if limit is not None:
        query += " LIMIT %s"
        params.append(limit + 1)
    found = fetch(query, params)
    too_many = limit is not None and len(found) > limit
    return None if too_many else list(grouped(found))


def grouped(rows: Sequence[tuple[Any, ...]]) -> Iterator[Rows]:
    """Yield rows of (layout, machine, time, values) by their layout."""
    by_layout: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        by_layout.setdefault((row[0], len(row[3])), []).append(row)
    for (layout, _), same in by_layout.items():
        _, machines, moments, values = zip(*same, strict=True)
        numbers = np.array(machines, np.int64)
        content = packed(b"".join(values), len(same))
        yield Rows(layout, numbers, times(moments), content)


def newest(machines: Sequence[int]) -> dict[int, StoredSample]:
    """Return the last stored sample of each of these machines that still has it."""
    if is_postgres():
        rows = _newest_postgres(list(machines))
    else:
        rows = fetch(_NEWEST_SQLITE, [list(machines)])
    if not rows:
        return {}
    moments = times([row[3] for row in rows]).tolist()
    return {
        machine: StoredSample(
            machine,
            layout,
            sequence,
            time_ms,
            time_ms + delay_ms,
            values,
        )
        for (machine, layout, sequence, _, delay_ms, values), time_ms in zip(
            rows, moments, strict=True
        )
    }


def _newest_postgres(machines: list[int]) -> list[tuple[Any, ...]]:
    [(heard,)] = fetch(_LAST_HEARD, [machines])
    if heard is None:
        return []
    [heard_ms] = times([heard]).tolist()
    recent = datetime.fromtimestamp(heard_ms / 1000, UTC) - _A_MOMENT
    rows = fetch(_NEWEST_POSTGRES, [recent, machines])
    found = {row[0] for row in rows}
    silent = [machine for machine in machines if machine not in found]
    if silent:
        rows += fetch(_NEWEST_POSTGRES, [_EVER, silent])
    return rows
