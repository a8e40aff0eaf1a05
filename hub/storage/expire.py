"""Rows go when their time is over: never before the next tier has them.

TimescaleDB drops whole chunks; elsewhere rows are deleted, some at a time. Either
way the tier's watermark `since` moves in the same transaction, so that everybody
knows exactly which rows are gone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from django.conf import settings
from django.db import connection, transaction

from hub.log import get_logger
from hub.storage import archive
from hub.storage.bulk import fetch, times
from hub.storage.database import guard
from hub.storage.models import Late, Watermark
from hub.storage.tiers import (
    HOUR,
    MINUTE,
    RAW,
    Tier,
    floor,
    from_ms,
    hold,
    shut_writers_out,
    watermarks,
)

# Small enough that a writer waits for a moment, not for the whole work.
BATCH = 5_000
LONGEST_STEP = 1_440
# The rest waits for the next hour; a task that runs for ever is killed.
WITHIN_S = 60.0
# A roll-up this far behind is worth a word: it keeps rows here.
BEHIND = timedelta(hours=1)

# Jumps from machine to machine in the index; also finds those that are deleted.
_JUMP = """
WITH RECURSIVE jump(machine) AS (
    SELECT min(machine_id) FROM {table}
    UNION ALL
    SELECT (SELECT min(machine_id) FROM {table} WHERE machine_id > machine)
    FROM jump WHERE machine IS NOT NULL
)
"""
_MACHINES = _JUMP + "SELECT machine FROM jump WHERE machine IS NOT NULL"
# By machine, because the one index begins with it.
_OLDEST = f"""
{_JUMP}
SELECT min((SELECT min(time) FROM {{table}} t WHERE t.machine_id = machine))
FROM jump WHERE machine IS NOT NULL
"""
_DELETE = f"""
DELETE FROM {{table}} WHERE time < %s AND machine_id IN ({_MACHINES})
"""

log = get_logger(__name__)

Clock = Callable[[], float]


def expire(tier: Tier, now: datetime, *, clock: Clock = monotonic) -> int:
    """Delete a tier's rows whose time is over; return how many rows or chunks.

    Where TimescaleDB drops chunks, a row may outlive its time by a chunk's length.
    Raises DatabaseDown, and ArchiveFailed when what expires could not be kept.
    """
    with guard():
        before = line(tier, now)
        if before is None:
            return 0
        if is_hypertable(tier):
            return _drop(tier, before)
        return _delete(tier, before, clock() + WITHIN_S, clock)


def line(tier: Tier, now: datetime) -> datetime | None:
    """Return the moment before which a tier's rows may go; None = none may."""
    marks = watermarks()
    held = marks[tier.name].hold
    if held and now < held:
        return None
    # What the next tier is made of stays; what could still change is not archived.
    needed = {
        RAW: marks[MINUTE.name].until,
        MINUTE: marks[HOUR.name].until,
        HOUR: marks[MINUTE.name].since,
    }[tier]
    wanted = now - tier.retention
    if tier is not HOUR and (needed is None or needed < wanted - BEHIND):
        until = needed and needed.isoformat()
        log.warning("expire.waits", tier=tier.name, until=until)
    return floor(min(wanted, needed), tier.grain) if needed else None


def is_hypertable(tier: Tier = RAW) -> bool:
    """Tell whether a tier's rows are kept by TimescaleDB."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('_timescaledb_catalog.hypertable')")
        if cursor.fetchone() == (None,):
            return False
        cursor.execute(
            "SELECT 1 FROM _timescaledb_catalog.hypertable WHERE table_name = %s",
            [tier.table],
        )
        return cursor.fetchone() is not None


def _drop(tier: Tier, before: datetime) -> int:
    end = _whole_chunks(tier, before)
    if end is None:
        return 0
    _archive(tier, end)
    with transaction.atomic(), connection.cursor() as cursor:
        mark = _may_go(tier, end)
        if mark is None:
            return 0
        cursor.execute(
            "SELECT count(*) FROM drop_chunks(%s::regclass, %s::timestamptz)",
            [tier.table, end],
        )
        [dropped] = cursor.fetchone()
        _moved(mark, end)
    return int(dropped)


def _whole_chunks(tier: Tier, before: datetime) -> datetime | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(range_end) FROM timescaledb_information.chunks"
            " WHERE hypertable_name = %s AND range_end <= %s",
            [tier.table, before],
        )
        end: datetime | None
        [end] = cursor.fetchone()
    return end


def _delete(tier: Tier, before: datetime, until: float, clock: Clock) -> int:
    # Each step is a transaction of its own: others write in between.
    deleted, length = 0, 1
    start = watermarks()[tier.name].since or _oldest(tier)
    if start is None or start >= before:
        return 0
    _archive(tier, before)
    statement = _DELETE.format(table=tier.table)
    while start < before and clock() < until:
        end = min(start + length * tier.grain, before)
        with transaction.atomic(), connection.cursor() as cursor:
            mark = _may_go(tier, end)
            if mark is None:
                break
            cursor.execute(statement, [connection.ops.adapt_datetimefield_value(end)])
            deleted += cursor.rowcount
            crowded = cursor.rowcount > BATCH // 2
            _moved(mark, end)
        start = end
        length = max(1, length // 2) if crowded else min(2 * length, LONGEST_STEP)
    return deleted


def _oldest(tier: Tier) -> datetime | None:
    [(oldest,)] = fetch(_OLDEST.format(table=tier.table))
    return oldest and floor(from_ms(int(times([oldest])[0])), tier.grain)


def _may_go(tier: Tier, end: datetime) -> Watermark | None:
    """Hold the tier, if nobody needs its rows before `end` any more."""
    mark = hold(tier)
    if mark is None or tier is not RAW:
        return mark
    # From here on nobody adds a late sample; those that are there come first.
    shut_writers_out()
    return None if Late.objects.filter(minute__lt=end).exists() else mark


def _moved(mark: Watermark, end: datetime) -> None:
    mark.since = max(end, mark.since or end)
    mark.save(update_fields=["since"])


def _archive(tier: Tier, end: datetime) -> None:
    if tier is HOUR and settings.ARCHIVE_URL:
        archive.keep(end)
