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
    gathered_values,
    is_postgres,
    times,
)
from hub.storage.fold import Folded, Times
from hub.storage.raw_sqlite import text
from hub.storage.tiers import Tier, from_ms

VECTORS = ("count", "min", "avg", "max")
# Each one more costs as much again as all that the row itself does.
WEIGHED, AVERAGE = ("count", "avg"), ("avg",)
Vectors = tuple[str, ...]
# A sum of more would be too deep for SQLite.
MAX_PLACES = 64
# As an inner query, only the chunks of each stretch are looked into.
_POSTGRES = """
SELECT s.machine, found.* FROM
  unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) s(machine, first, last)
CROSS JOIN LATERAL (
  SELECT array_agg(time), {values} FROM {table}
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
    tier: Tier,
    spans: Sequence[Span],
    layouts: Sequence[int],
    places: Sequence[int],
    vectors: Vectors = VECTORS,
) -> Picked | None:
    """Return the places' buckets within the spans, of these layouts alone.

    Without its extremes a bucket is as narrow as its average, without its count it
    counts once.
    """
    read = _postgres if is_postgres() else _sqlite
    found = list(read(tier, spans, list(layouts), (places, vectors)))
    if not found:
        return None
    machines, at, values = zip(*found, strict=True)
    counts = [len(some) for some in at]
    # By rows: what a bucket says, and of that the places.
    whole = np.concatenate(values).reshape(-1, len(vectors), len(places))
    told = {name: whole[:, number] for number, name in enumerate(vectors)}
    average = told["avg"]
    if "count" not in told:
        told["count"] = (~np.isnan(average)).astype(np.float32)
    return Picked(
        np.repeat(np.array(machines, np.int64), counts),
        np.concatenate(at),
        Folded(*(told.get(name, average) for name in VECTORS)),
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
_Wanted = tuple[Sequence[int], Vectors]


def _postgres(
    tier: Tier, spans: Sequence[Span], layouts: list[int], wanted: _Wanted
) -> Iterator[_Stretch]:
    # Arrays of numbers are gathered faster than arrays of arrays.
    values = ", ".join(f"array_agg({one})" for one in _each(wanted, '"{}"[{}]', 1))
    query = _POSTGRES.format(values=values, table=tier.table)
    for machine, at, *gathered in fetch(query, [*_columns(spans), layouts]):
        if at is not None:
            columns = [gathered_values(some) for some in gathered]
            yield machine, gathered_times(at), np.stack(columns, axis=1)


def _sqlite(
    tier: Tier, spans: Sequence[Span], layouts: list[int], wanted: _Wanted
) -> Iterator[_Stretch]:
    each = _each(wanted, 'substr("{}", {}, 4)', 4)
    shape = np.dtype([("time", _TIME), ("values", "<f4", (len(each),))])
    told = [[span.machine, text(span.start), text(span.end)] for span in spans]
    query = _SQLITE.format(values=" || ".join(each), table=tier.table)
    for machine, content in fetch(query, [layouts, told]):
        if content is not None:
            rows = np.frombuffer(content, shape)
            at = rows["time"].astype("datetime64[ms]").astype(np.int64)
            yield machine, at, rows["values"]


def _each(wanted: _Wanted, form: str, width: int) -> list[str]:
    places, vectors = wanted
    return [form.format(name, width * n + 1) for name in vectors for n in places]
