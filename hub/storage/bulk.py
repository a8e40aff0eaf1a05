"""Many rows between the database and numpy, without a Python float for each value.

Vectors are read as the bytes the database sends: anything else would cost ten
times the query.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
from django.db import connection
from numpy.typing import NDArray
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from hub.storage.binary import ARRAY_HEADER, EPOCH_MS

_REAL_ARRAY_OID, _TIMESTAMPTZ_OID, _TIMESTAMPTZ_ARRAY_OID = 1021, 1184, 1185


class _Raw(Loader):
    """Leaves a binary value as it came."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


def is_postgres() -> bool:
    return connection.vendor == "postgresql"


def among(column: str) -> str:
    """Return the condition that a column is in a list, which is one parameter."""
    if is_postgres():
        return f"{column} = ANY(%s)"
    return f"{column} IN (SELECT value FROM json_each(%s))"


def fetch(query: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return all rows; times and vectors in them are for `times` and `vectors`."""
    if not is_postgres():
        with connection.cursor() as cursor:
            cursor.execute(query, [_plain(param) for param in params])
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
    connection.ensure_connection()
    # Django's own cursors bind parameters in the client and read text.
    reader = psycopg.Cursor(connection.connection)
    with connection.wrap_database_errors, reader as cursor:
        cursor.adapters.register_loader(_REAL_ARRAY_OID, _Raw)
        cursor.adapters.register_loader(_TIMESTAMPTZ_OID, _Raw)
        cursor.adapters.register_loader(_TIMESTAMPTZ_ARRAY_OID, _Raw)
        cursor.execute(query, list(params), binary=True)
        return cursor.fetchall()


def times(column: Sequence[Any]) -> NDArray[np.int64]:
    """Return a column of times as Unix milliseconds."""
    if len(column) and isinstance(column[0], bytes):
        since_2000 = np.frombuffer(b"".join(column), ">i8")
        return since_2000 // 1000 + EPOCH_MS
    return np.array(column, "datetime64[ms]").astype(np.int64)


def moments(column: Sequence[Any]) -> list[datetime]:
    """Return the same as datetimes, in UTC."""
    return [datetime.fromtimestamp(ms / 1000, UTC) for ms in times(column).tolist()]


def vectors(column: Sequence[bytes]) -> NDArray[np.float32]:
    """Return a column of vectors of one length, a row each."""
    content, size = b"".join(column), len(column[0])
    if not is_postgres():
        return packed(content, len(column))
    # An array without items has a shorter header.
    length = max(0, (size - ARRAY_HEADER) // 8)
    if not length:
        return np.empty((len(column), 0), np.float32)
    item = [("size", ">i4"), ("value", ">f4")]
    shape = np.dtype([("header", f"V{ARRAY_HEADER}"), ("items", item, (length,))])
    array: NDArray[np.float32] = np.frombuffer(content, shape)["items"]["value"]
    return array.astype(np.float32)


def packed(content: bytes, count: int) -> NDArray[np.float32]:
    """Return so many packed vectors, one behind the other, as a row each."""
    floats: NDArray[np.float32] = np.frombuffer(content, "<f4")
    return floats.reshape(count, len(floats) // count)


def gathered_times(gathered: bytes) -> NDArray[np.int64]:
    """Return what PostgreSQL's `array_agg` made of times, as Unix milliseconds."""
    item = np.dtype([("size", ">i4"), ("value", ">i8")])
    since_2000 = np.frombuffer(gathered, item, offset=ARRAY_HEADER)["value"]
    return since_2000 // 1000 + EPOCH_MS


def gathered_values(gathered: bytes) -> NDArray[np.float32]:
    """Return what PostgreSQL's `array_agg` made of numbers."""
    item = np.dtype([("size", ">i4"), ("value", ">f4")])
    found: NDArray[np.float32] = np.frombuffer(gathered, item, offset=ARRAY_HEADER)[
        "value"
    ].astype(np.float32)
    return found


def _plain(param: Any) -> Any:
    match param:
        case datetime():
            return str(param.astimezone(UTC).replace(tzinfo=None))
        case list():
            return json.dumps(param)
    return param
