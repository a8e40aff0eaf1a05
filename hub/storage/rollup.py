"""Raw becomes minutes, minutes become hours: exact, whatever came late.

    close    samples of earlier minutes are late from now on      (a moment)
    advance  what the finer tier has since `until`, step by step
    mend     the minutes, and their hours, that late samples touched

Every step is one transaction that holds its tier's watermark, so a second worker
does nothing, and one that dies leaves nothing half done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic, sleep

from django.db import transaction

from hub.log import get_logger
from hub.machines.models import Machine
from hub.storage import buckets, layouts
from hub.storage.bulk import fetch, is_postgres, times
from hub.storage.database import guard
from hub.storage.folding import fold
from hub.storage.mend import mend
from hub.storage.models import Watermark
from hub.storage.tiers import (
    HOUR,
    MINUTE,
    TIERS,
    Tier,
    floor,
    from_ms,
    hold,
    shut_writers_out,
)

# A sample that is under way belongs to its minute; later ones cost a second look.
GRACE = timedelta(seconds=15)
# The rest waits for the next minute; on SQLite the writer wants its turn.
WITHIN_S = 40.0
# Rows in memory at once: 30,000 of 60 values are about 30 MB on their way.
ROWS = 30_000
# Rows of a machine in the shortest step are 12 of raw and 60 of minutes.
MACHINES = {MINUTE: 1_000, HOUR: 200}
LONGEST_STEP = 10_080
# SQLite has one writer at a time, and no queue: others need a chance.
TURN_S = 0.03
# A clock that was ahead left its watermark in the future.
AHEAD = timedelta(hours=1)
# While it catches up it says so, this often.
SAY_EVERY_S = 5.0

_OLDEST = """
SELECT min((SELECT min(s.time) FROM storage_sample s WHERE s.machine_id = m.id))
FROM machines_machine m
"""

log = get_logger(__name__)

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Done:
    """What one run came to."""

    minutes: int = 0
    hours: int = 0
    mended: int = 0
    # Late samples' minutes that have expired and cannot be made again.
    dropped: int = 0


def roll_up(now: datetime, *, clock: Clock = monotonic) -> Done:
    """Bring minutes and hours up to `now`, as far as there is time.

    Raises DatabaseDown; what is done by then stays done.
    """
    deadline = clock() + WITHIN_S
    with guard():
        target = close(now)
        if target is None:
            return Done()
        machines = list(Machine.objects.order_by("pk").values_list("pk", flat=True))
        minutes = _advance(MINUTE, target, machines, deadline, clock)
        reached = Watermark.objects.get(pk=MINUTE.name).until or target
        hours = _advance(HOUR, floor(reached, HOUR.width), machines, deadline, clock)
        mended = dropped = 0
        while clock() < deadline and (some := mend()) is not None:
            mended, dropped = mended + some.minutes, dropped + some.dropped
    return Done(minutes, hours, mended, dropped)


@transaction.atomic
def close(now: datetime) -> datetime | None:
    """Declare minutes before now to be over; None when another worker is at it.

    From here on a sample of an earlier minute marks it. All those that were
    stored without a mark are there to be read.
    """
    target = floor(now - GRACE, MINUTE.width)
    mark = hold(MINUTE) or (hold(MINUTE) if _begin() else None)
    if mark is None:
        return None
    shut_writers_out()
    if mark.until is None:
        mark.until = min(_oldest() or target, target)
        hours = Watermark.objects.filter(pk=HOUR.name)
        hours.update(until=floor(mark.until, HOUR.width))
    if mark.until > target + AHEAD:
        log.warning("rollup.clock_was_ahead", until=mark.until.isoformat())
        mark.until = mark.closing = target
        ahead = Watermark.objects.filter(pk=HOUR.name, until__gt=target)
        ahead.update(until=floor(target, HOUR.width))
    mark.closing = max(mark.closing or target, target)
    mark.save()
    return target


def _begin() -> bool:
    """Make the watermarks of a new store; tell whether there were none."""
    if Watermark.objects.exists():
        return False
    marks = [Watermark(tier=tier.name) for tier in TIERS]
    Watermark.objects.bulk_create(marks, ignore_conflicts=True)
    return True


def _oldest() -> datetime | None:
    [(oldest,)] = fetch(_OLDEST)
    if oldest is None:
        return None
    return floor(from_ms(int(times([oldest])[0])), MINUTE.width)


def _advance(
    tier: Tier,
    target: datetime,
    machines: Sequence[int],
    deadline: float,
    clock: Clock,
) -> int:
    """Fold what the finer tier has up to `target`; return how many rows it made."""
    made, length, said_at = 0, 1, clock()
    while clock() < deadline:
        with transaction.atomic():
            mark = hold(tier)
            if mark is None or mark.until is None or mark.until >= target:
                break
            end = min(mark.until + length * tier.width, target)
            # A step of one bucket is never too much: it cannot be shorter.
            limit = ROWS if length > 1 else None
            rows = _step(tier, machines, mark.until, end, limit=limit)
            if rows is not None:
                mark.until = end
                mark.save(update_fields=["until"])
        if rows is None:
            length = max(1, length // 2)
            continue
        made += rows
        # Empty stretches pass quickly; a step too long is taken again, shorter.
        length = min(2 * length, LONGEST_STEP)
        if end == target:
            break
        if clock() - said_at > SAY_EVERY_S:
            said_at = clock()
            left_s = (target - end).total_seconds()
            log.info("rollup.catching_up", tier=tier.name, left_s=left_s, rows=made)
        if rows and not is_postgres():
            sleep(TURN_S)
    return made


def _step(
    tier: Tier,
    machines: Sequence[int],
    start: datetime,
    end: datetime,
    *,
    limit: int | None,
) -> int | None:
    """Fold [start, end); return how many rows, None if it is too much at once.

    What was written by then is right, and is written again with the shorter step.
    """
    made = 0
    for some in slices(machines, MACHINES[tier]):
        folded = fold(tier, some, start, end, limit=limit)
        if folded is None:
            return None
        if tier is HOUR and folded:
            layouts.touch((one.layout for one in folded), end)
        made += buckets.write(tier, folded)
    return made


def slices(machines: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for at in range(0, len(machines), size):
        yield machines[at : at + size]
