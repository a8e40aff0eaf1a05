"""What TimescaleDB's chunks need, with the functions that every edition has.

the next one   made ahead: the writer never waits for a table to be created
closed ones    their indexes packed, once; their statistics taken
older ones     compressed, where the licence has that
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import NotSupportedError, connection, transaction

from hub.log import get_logger
from hub.storage.database import guard
from hub.storage.expire import is_hypertable
from hub.storage.tiers import HOUR, MINUTE, RAW, TIERS, Tier

# Samples come late by seconds as a rule. Packing is for good: whoever comes after
# it splits pages again.
QUIET = timedelta(minutes=30)
# One run packs this many; a day's backlog is done in an hour.
AT_ONCE = 4
# Compressed rows are dear to change; samples older than a week are refused.
COMPRESSED_AFTER = timedelta(days=8)
# A word on the chunk, so that it is lost with it.
PACKED = "packed"

_CHUNKS = """
SELECT format('%%I.%%I', chunk_schema, chunk_name), range_start, range_end,
  is_compressed,
  obj_description(format('%%I.%%I', chunk_schema, chunk_name)::regclass, 'pg_class')
FROM timescaledb_information.chunks
WHERE hypertable_name = %s ORDER BY range_start
"""
_INDEXES = "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = %s::regclass"
# What an interrupted REINDEX CONCURRENTLY leaves behind.
_BROKEN = """
SELECT format('%%I.%%I', n.nspname, c.relname)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indrelid = %s::regclass AND NOT i.indisvalid AND c.relname ~ '_ccnew[0-9]*$'
"""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chunk:
    name: str
    start: datetime
    end: datetime
    is_compressed: bool
    is_packed: bool


def tend(now: datetime) -> None:
    """Do all of it, where there are chunks. Raises DatabaseDown."""
    with guard():
        for tier in TIERS:
            if is_hypertable(tier):
                prepare(tier, now)
                for chunk in _to_pack(tier, now)[:AT_ONCE]:
                    pack(chunk)
        if may_compress():
            _compress(now)


def chunks(tier: Tier) -> list[Chunk]:
    with connection.cursor() as cursor:
        cursor.execute(_CHUNKS, [tier.table])
        return [
            Chunk(name, start, end, bool(compressed), said == PACKED)
            for name, start, end, compressed, said in cursor.fetchall()
        ]


def prepare(tier: Tier, now: datetime) -> bool:
    """Make the chunk after the present one; tell whether it was missing.

    A row makes it and is gone within the transaction: TimescaleDB's function for
    it is not in every edition.
    """
    known = chunks(tier)
    if not known:
        return False
    length = known[-1].end - known[-1].start
    at = now + length
    if any(chunk.start <= at < chunk.end for chunk in known):
        return False
    row = {"time": "%s", "machine_id": "0", "layout_id": "0"}
    if tier is RAW:
        row |= {"sequence": "0", "delay_ms": "0", "values": "''"}
    else:
        row |= dict.fromkeys(("count", "min", "avg", "max"), "'{}'")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {tier.table} ({', '.join(row)})"
            f" VALUES ({', '.join(row.values())})",
            [at],
        )
        cursor.execute(
            f"DELETE FROM {tier.table} WHERE machine_id = 0 AND time = %s", [at]
        )
    log.info("chunks.prepared", tier=tier.name, time=at.isoformat())
    return True


def pack(chunk: Chunk) -> None:
    """Write a closed chunk's indexes anew, without the room for what is to come.

    Readers and writers go on meanwhile. Must not run in a transaction.
    """
    with _patiently(), connection.cursor() as cursor:
        cursor.execute(_BROKEN, [chunk.name])
        for (index,) in cursor.fetchall():
            cursor.execute(f"DROP INDEX {index}")
        before = _size(chunk)
        cursor.execute(_INDEXES, [chunk.name])
        for (index,) in cursor.fetchall():
            cursor.execute(f"ALTER INDEX {index} SET (fillfactor = 100)")
        cursor.execute(f"REINDEX TABLE CONCURRENTLY {chunk.name}")
        cursor.execute(f"ANALYZE {chunk.name}")
        cursor.execute(f"COMMENT ON TABLE {chunk.name} IS '{PACKED}'")
    log.info("chunks.packed", chunk=chunk.name, before=before, after=_size(chunk))


def may_compress() -> bool:
    """Tell whether this TimescaleDB's licence has compression."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('timescaledb.license', true)")
        [licence] = cursor.fetchone()
    return bool(licence == "timescale")


def compress(tier: Tier, now: datetime) -> int:
    """Compress chunks that late samples no longer reach; return how many."""
    if not is_hypertable(tier):
        return 0
    every = chunks(tier)
    edge = now - COMPRESSED_AFTER
    old = [chunk for chunk in every if chunk.end <= edge and not chunk.is_compressed]
    if not old:
        return 0
    with _patiently(), connection.cursor() as cursor:
        # Not a second time: older servers refuse it once a chunk is compressed.
        if not any(chunk.is_compressed for chunk in every):
            cursor.execute(
                f"ALTER TABLE {tier.table} SET (timescaledb.compress,"
                " timescaledb.compress_segmentby = 'machine_id, layout_id',"
                " timescaledb.compress_orderby = 'time')"
            )
        for chunk in old:
            cursor.execute(
                "SELECT compress_chunk(%s::regclass, if_not_compressed => true)",
                [chunk.name],
            )
    log.info("chunks.compressed", tier=tier.name, count=len(old))
    return len(old)


def _compress(now: datetime) -> None:
    """A server that promises what it does not have keeps its rows as they are."""
    try:
        compress(MINUTE, now)
        compress(HOUR, now)
    except NotSupportedError as refused:
        log.warning("chunks.not_compressed", error=str(refused))


def _to_pack(tier: Tier, now: datetime) -> list[Chunk]:
    return [
        chunk
        for chunk in chunks(tier)
        if chunk.end <= now - QUIET and not chunk.is_packed and not chunk.is_compressed
    ]


def _size(chunk: Chunk) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_indexes_size(%s::regclass)", [chunk.name])
        [size] = cursor.fetchone()
    return int(size)


@contextmanager
def _patiently() -> Iterator[None]:
    """Lift the limit on statements, which is meant for pages."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        [usual] = cursor.fetchone()
        cursor.execute("SET statement_timeout = 0")
        try:
            yield
        finally:
            if connection.connection and not connection.connection.closed:
                cursor.execute(f"SET statement_timeout = '{usual}'")
