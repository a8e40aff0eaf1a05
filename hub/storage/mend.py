"""Minutes that late samples touched are made again, and so are their hours.

While raw still has a minute's samples, the minute is folded anew. When they have
expired, the late ones are folded into the minute's row and deleted: a second run
cannot count them twice. When the minute itself has expired they are dropped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from hub.log import get_logger
from hub.storage import buckets
from hub.storage.buckets import Buckets, fold_buckets, fold_rows
from hub.storage.bulk import among, fetch, is_postgres
from hub.storage.folding import fits, fold
from hub.storage.late import runs
from hub.storage.models import Late
from hub.storage.rows import grouped
from hub.storage.tiers import (
    HOUR,
    MINUTE,
    RAW,
    floor,
    from_ms,
    hold,
    to_ms,
    watermarks,
)

# Marks of one transaction.
MARKS = 2_000

log = get_logger(__name__)

# A machine and the Unix ms of a minute.
Minute = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Mended:
    """How many minutes of machines were made again, and how many could not be."""

    minutes: int
    dropped: int


@transaction.atomic
def mend() -> Mended | None:
    """Work through some marks; None when there are none, or somebody else does it."""
    mark, hours = hold(MINUTE), hold(HOUR)
    if mark is None or hours is None or mark.until is None:
        return None
    marks = list(
        Late.objects.order_by("pk").values_list("pk", "machine_id", "minute")[:MARKS]
    )
    if not marks:
        return None
    # Later ones are of minutes that are still to be made: those will see it.
    over = {(machine, at) for _, machine, at in marks if at < mark.until}
    lost = {(machine, at) for machine, at in over if mark.since and at < mark.since}
    spent = watermarks()[RAW.name].since
    for minutes in _spans(over - lost, spent):
        _remake(minutes, from_raw=spent is None or minutes.start >= spent)
    _remake_hours(over - lost, hours.until)
    _forget([number for number, _, _ in marks])
    if lost:
        log.warning("late.dropped", minutes=len(lost), kept_since=mark.since)
    return Mended(len(over - lost), len(lost))


@dataclass(frozen=True, slots=True)
class Span:
    """The same stretch of several machines."""

    machines: tuple[int, ...]
    start: datetime
    end: datetime


def _spans(
    minutes: Iterable[tuple[int, datetime]], border: datetime | None
) -> Iterator[Span]:
    """Yield machines by the stretches they share; none reaches over the border."""
    border_ms = to_ms(border) if border else 0
    sides: tuple[list[Minute], list[Minute]] = ([], [])
    for machine, at in minutes:
        at_ms = to_ms(at)
        sides[at_ms >= border_ms].append((machine, at_ms))
    for side in sides:
        machines: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for run in runs(side):
            machines[run.start_ms, run.end_ms].append(run.machine)
        for (start_ms, end_ms), some in machines.items():
            yield Span(tuple(some), from_ms(start_ms), from_ms(end_ms))


def _remake(span: Span, *, from_raw: bool) -> None:
    if from_raw:
        made = fold(MINUTE, span.machines, span.start, span.end)
    else:
        made = _absorbed(span)
    buckets.write(MINUTE, made or [])


def _absorbed(span: Span) -> list[Buckets]:
    """Take samples out of raw; return their minutes with what was known before."""
    rows = fetch(
        f"DELETE FROM {RAW.table} WHERE {among('machine_id')} AND time >= %s"
        ' AND time < %s RETURNING layout_id, machine_id, time, "values"',
        [list(span.machines), span.start, span.end],
    )
    together: defaultdict[int, list[Buckets]] = defaultdict(list)
    for some in grouped(rows):
        if fits(some):
            together[some.layout].append(fold_rows(some, MINUTE.width_ms))
    known = buckets.read(MINUTE, span.machines, span.start, span.end) or []
    for before in known:
        if before.layout in together:
            together[before.layout].append(before)
    return [
        fold_buckets(buckets.join(same), MINUTE.width_ms) for same in together.values()
    ]


def _remake_hours(
    minutes: Iterable[tuple[int, datetime]], until: datetime | None
) -> None:
    machines: defaultdict[datetime, set[int]] = defaultdict(set)
    for machine, at in minutes:
        if until and at < until:
            machines[floor(at, HOUR.width)].add(machine)
    for start, some in sorted(machines.items()):
        made = fold(HOUR, sorted(some), start, start + HOUR.width)
        buckets.write(HOUR, made or [])


def _forget(marks: list[int]) -> None:
    numbers = marks if is_postgres() else str(marks)
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM storage_late WHERE {among('id')}", [numbers])
