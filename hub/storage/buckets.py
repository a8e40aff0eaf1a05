"""Rows of the minute and hour tiers, read and written in bulk as numpy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from hub.storage import binary
from hub.storage.bulk import among, fetch, is_postgres, times, vectors
from hub.storage.fold import Folded, Times, merge, reduce, starts
from hub.storage.raw_sqlite import text
from hub.storage.rows import Rows
from hub.storage.tiers import Tier

_KEY = "machine_id, time, layout_id"
_VECTORS = ("count", "min", "avg", "max")
_QUOTED = ", ".join(f'"{name}"' for name in _VECTORS)
_COLUMNS = f"time, machine_id, layout_id, {_QUOTED}"
_REPLACE = f"ON CONFLICT ({_KEY}) DO UPDATE SET " + ", ".join(
    f'"{name}" = excluded."{name}"' for name in _VECTORS
)
_SCALARS = (("time", ">i8"), ("machine", ">i4"), ("layout", ">i4"))


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Buckets of one layout and many machines; `content` has a row for each."""

    layout: int
    machine: NDArray[np.int64]
    # Where each begins, Unix milliseconds.
    time_ms: Times
    content: Folded

    def __len__(self) -> int:
        return len(self.time_ms)

    def take(self, rows: NDArray[Any]) -> Buckets:
        return Buckets(
            self.layout,
            self.machine[rows],
            self.time_ms[rows],
            self.content.take(rows),
        )


def fold_rows(rows: Rows, width_ms: int) -> Buckets:
    """Fold samples into buckets; a bucket without any reading is absent."""
    order = np.lexsort((rows.time_ms, rows.machine))
    machine, bucket = rows.machine[order], rows.time_ms[order] // width_ms
    first = starts(machine, bucket)
    content = reduce(rows.values[order], first)
    return _told(
        Buckets(rows.layout, machine[first], bucket[first] * width_ms, content)
    )


def fold_buckets(fine: Buckets, width_ms: int) -> Buckets:
    """Fold buckets into wider ones, or what lies in one bucket together."""
    order = np.lexsort((fine.time_ms, fine.machine))
    machine, bucket = fine.machine[order], fine.time_ms[order] // width_ms
    first = starts(machine, bucket)
    content = merge(fine.content.take(order), first)
    return _told(
        Buckets(fine.layout, machine[first], bucket[first] * width_ms, content)
    )


def join(same: Sequence[Buckets]) -> Buckets:
    """Return buckets of one layout as one."""
    [layout] = {buckets.layout for buckets in same}
    return Buckets(
        layout,
        np.concatenate([buckets.machine for buckets in same]),
        np.concatenate([buckets.time_ms for buckets in same]),
        Folded.concatenate([buckets.content for buckets in same]),
    )


def read(
    tier: Tier,
    machines: Sequence[int],
    start: datetime,
    end: datetime,
    *,
    limit: int | None = None,
) -> list[Buckets] | None:
    """Return these machines' buckets in [start, end); None if they are too many."""
    query = _select(f"layout_id, machine_id, time, {_QUOTED}", tier)
    params: list[Any] = [list(machines), start, end]
    if limit is not None:
        query += " LIMIT %s"
        params.append(limit + 1)
    found = fetch(query, params)
    return None if limit and len(found) > limit else list(_grouped(found))


def samples(
    tier: Tier, machines: Sequence[int], start: datetime, end: datetime
) -> Iterator[tuple[NDArray[np.int64], Times, NDArray[np.float32]]]:
    """Yield how many samples made these machines' buckets in [start, end).

    Machines, times and counts, in no order. A bucket has as many as the series of
    which it has most.
    """
    query = _select('machine_id, time, "count"', tier)
    by_length: dict[int, list[Any]] = {}
    for row in fetch(query, [list(machines), start, end]):
        by_length.setdefault(len(row[2]), []).append(row)
    for same in by_length.values():
        found, moments, counts = zip(*same, strict=True)
        most = vectors(counts).max(axis=1, initial=0)
        yield np.array(found, np.int64), times(moments), most


def _select(columns: str, tier: Tier) -> str:
    return (
        f"SELECT {columns} FROM {tier.table}"
        f" WHERE {among('machine_id')} AND time >= %s AND time < %s"
    )


def write(tier: Tier, buckets: Iterable[Buckets]) -> int:
    """Store buckets, in place of those that are there already; return how many."""
    told = [some for some in buckets if len(some)]
    if told:
        _write_postgres(tier, told) if is_postgres() else _write_sqlite(tier, told)
    return sum(map(len, told))


def _told(buckets: Buckets) -> Buckets:
    kept = np.flatnonzero(buckets.content.count.any(axis=1))
    return buckets if len(kept) == len(buckets) else buckets.take(kept)


def _grouped(rows: Sequence[tuple[Any, ...]]) -> Iterator[Buckets]:
    by_layout: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        by_layout.setdefault((row[0], len(row[3])), []).append(row)
    for (layout, _), same in by_layout.items():
        _, machines, moments, *content = zip(*same, strict=True)
        yield Buckets(
            layout,
            np.array(machines, np.int64),
            times(moments),
            Folded(*(vectors(column) for column in content)),
        )


def _write_postgres(tier: Tier, told: Sequence[Buckets]) -> None:
    with connection.wrap_database_errors, connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMPORARY TABLE folded (LIKE {tier.table}) ON COMMIT DROP"
        )
        with cursor.copy(
            f"COPY folded ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
        ) as copy:
            copy.write(binary.SIGNATURE)
            for buckets in told:
                copy.write(_block(buckets))
            copy.write(binary.TRAILER)
        cursor.execute(
            f"INSERT INTO {tier.table} ({_COLUMNS}) SELECT {_COLUMNS} FROM folded"
            f" ORDER BY {_KEY} {_REPLACE}"
        )
        cursor.execute("DROP TABLE folded")


def _block(buckets: Buckets) -> bytes:
    content = buckets.content
    block = binary.blank(len(buckets), _SCALARS, _VECTORS, int(content.count.shape[1]))
    block["time"] = binary.timestamps(buckets.time_ms)
    block["machine"] = buckets.machine
    block["layout"] = buckets.layout
    for name, matrix in zip(_VECTORS, content.columns(), strict=True):
        block[name]["value"] = matrix
    return block.tobytes()


def _write_sqlite(tier: Tier, told: Sequence[Buckets]) -> None:
    insert = f"INSERT INTO {tier.table} ({_COLUMNS}) VALUES (%s{', %s' * 6}) {_REPLACE}"
    with connection.cursor() as cursor:
        for buckets in told:
            matrices = [m.astype("<f4") for m in buckets.content.columns()]
            cursor.executemany(
                insert,
                [
                    (
                        text(time_ms),
                        machine,
                        buckets.layout,
                        *(matrix[row].tobytes() for matrix in matrices),
                    )
                    for row, (time_ms, machine) in enumerate(
                        zip(
                            buckets.time_ms.tolist(),
                            buckets.machine.tolist(),
                            strict=True,
                        )
                    )
                ],
            )
