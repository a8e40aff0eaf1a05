"""Some places of a tier's vectors, of many machines: only these leave the database.

Each stretch comes as one row, gathered by the database: a row for each bucket
would cost more than the buckets themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hub.storage.bulk import (
    fetch,
    gathered_times,
    gathered_vectors,
    is_postgres,
    times,
)
from hub.storage.fold import Folded, Times
from hub.storage.raw_sqlite import text
from hub.storage.tiers import Tier, from_ms

VECTORS = ("count", "min", "avg", "max")
# A sum of more would be too deep for SQLite.
MAX_PLACES = 64
# As an inner query, only the chunks of each stretch are looked into.
_POSTGRES = """
SELECT s.machine, found.* FROM
  unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) s(machine, first, last)
CROSS JOIN LATERAL (
  SELECT array_agg(time), array_agg(ARRAY[{values}]::real[]) FROM {table}
  WHERE machine_id = s.machine AND time >= s.first AND time < s.last
    AND layout_id = ANY(%s)
) found
"""
# Joined blobs become text, and are cast back to the same bytes.
_SQLITE = """
SELECT s.value ->> 0, (
  SELECT CAST(group_concat(time || {values}, '') AS BLOB) FROM {table}
  WHERE machine_id = s.value ->> 0 AND time >= s.value ->> 1
    AND time < s.value ->> 2 AND layout_id IN (SELECT value FROM json_each(%s))
) FROM json_each(%s) s
"""
_MOMENTS_POSTGRES = """
SELECT s.number, found.times FROM
  unnest(%s::int[], %s::timestamptz[], %s::timestamptz[])
    WITH ORDINALITY s(machine, first, last, number)
CROSS JOIN LATERAL (
  SELECT array_agg(time) AS times FROM {table}
  WHERE machine_id = s.machine AND time >= s.first AND time < s.last
) found WHERE found.times IS NOT NULL
"""
_MOMENTS_SQLITE = """
SELECT s.key, (
  SELECT group_concat(time) FROM {table}
  WHERE machine_id = s.value ->> 0 AND time >= s.value ->> 1
    AND time < s.value ->> 2
) FROM json_each(%s) s
"""
# Buckets begin at whole seconds.
_TIME = f"S{len('2026-01-01 00:00:00')}"


class Span(NamedTuple):
    """A stretch of a machine's time, [start, end) in Unix milliseconds."""

    machine: int
    start: int
    end: int


class Picked(NamedTuple):
    """Buckets of some machines in any order; columns are the places asked for."""

    machine: NDArray[np.int64]
    time_ms: Times
    content: Folded


def pick(
    tier: Tier, spans: Sequence[Span], layouts: Sequence[int], places: Sequence[int]
) -> Picked | None:
    """Return the places' buckets within the spans, of these layouts alone."""
    read = _postgres if is_postgres() else _sqlite
    found = list(read(tier, spans, list(layouts), places))
    if not found:
        return None
    machines, at, values = zip(*found, strict=True)
    counts = [len(some) for some in at]
    # By rows: the places, and of each what a bucket says.
    whole = np.concatenate(values).reshape(-1, len(places), len(VECTORS))
    return Picked(
        np.repeat(np.array(machines, np.int64), counts),
        np.concatenate(at),
        Folded(*(whole[:, :, number] for number in range(len(VECTORS)))),
    )


def moments(tier: Tier, spans: Sequence[Span]) -> list[Times]:
    """Return when each span has rows, in no order."""
    found = [np.empty(0, np.int64) for _ in spans]
    if not spans:
        return found
    if is_postgres():
        asked = fetch(_MOMENTS_POSTGRES.format(table=tier.table), _columns(spans))
        for number, gathered in asked:
            found[number - 1] = gathered_times(gathered)
        return found
    told = [[s.machine, text(s.start), text(s.end)] for s in spans]
    for number, joined in fetch(_MOMENTS_SQLITE.format(table=tier.table), [told]):
        if joined is not None:
            found[number] = times(joined.split(","))
    return found


def _columns(spans: Sequence[Span]) -> list[Any]:
    return [
        [span.machine for span in spans],
        [from_ms(span.start) for span in spans],
        [from_ms(span.end) for span in spans],
    ]


_Stretch = tuple[int, Times, NDArray[np.float32]]


def _postgres(
    tier: Tier, spans: Sequence[Span], layouts: list[int], places: Sequence[int]
) -> Iterator[_Stretch]:
    values = ", ".join(f'"{name}"[{n + 1}]' for n in places for name in VECTORS)
    width = len(places) * len(VECTORS)
    query = _POSTGRES.format(values=values, table=tier.table)
    for machine, at, vectors in fetch(query, [*_columns(spans), layouts]):
        if at is not None:
            yield machine, gathered_times(at), gathered_vectors(vectors, width)


def _sqlite(
    tier: Tier, spans: Sequence[Span], layouts: list[int], places: Sequence[int]
) -> Iterator[_Stretch]:
    values = " || ".join(
        f'substr("{name}", {4 * n + 1}, 4)' for n in places for name in VECTORS
    )
    shape = np.dtype(
        [("time", _TIME), ("values", "<f4", (len(places) * len(VECTORS),))]
    )
    told = [[span.machine, text(span.start), text(span.end)] for span in spans]
    query = _SQLITE.format(values=values, table=tier.table)
    for machine, content in fetch(query, [layouts, told]):
        if content is not None:
            rows = np.frombuffer(content, shape)
            at = rows["time"].astype("datetime64[ms]").astype(np.int64)
            yield machine, at, rows["values"]
