"""Stretches of time whose samples came late, and why others are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import numpy as np
from django.db import transaction

from hub.machines.models import Machine
from hub.storage import away, bulk
from hub.storage.bulk import fetch
from hub.storage.database import guard
from hub.storage.fold import Times
from hub.storage.models import Backfill
from hub.storage.picked import Span, moments
from hub.storage.tiers import RAW, TIERS, from_ms, to_ms, watermarks

# A spool is sent in many batches: what comes within this belongs to one stretch.
SAME = timedelta(minutes=10)
# Between two late samples of one stretch there may be a pause of this length.
JOINED = timedelta(minutes=2)

# A machine that misses a tick or two is no gap.
MISSED_TICKS = 3
SHORTEST_GAP_S = 15.0
MAX_GAPS = 500

# Charts ask this each time, and it takes half as long as Django's own.
_TOUCHING = """
SELECT start, "end", received FROM storage_backfill
WHERE machine_id = %s AND "end" >= %s AND start < %s ORDER BY start
"""

Why = Literal["no agent", "hub away"]
# When rows begin, ascending, and how long each lasts, both in milliseconds.
_Rows = tuple[Times, int]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples of one machine that came late, [start, end] by their own time."""

    machine: int
    start: datetime
    end: datetime
    received: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """A machine's time without samples, [start, end)."""

    start: datetime
    end: datetime
    why: Why


class Asked(NamedTuple):
    """A stretch of a machine's time, [start, end)."""

    machine: Machine
    start: datetime
    end: datetime


def note(stretches: Sequence[Stretch]) -> None:
    """Keep stretches, joined with what is kept already. Raises DatabaseDown.

    Four statements for however many machines.
    """
    with guard(), transaction.atomic():
        known = set(
            Machine.objects.filter(pk__in={one.machine for one in stretches})
            .order_by("pk")
            .select_for_update(no_key=True)
            .values_list("pk", flat=True)
        )
        # Others were removed meanwhile.
        new = [one for one in stretches if one.machine in known]
        if not new:
            return
        kept = Backfill.objects.select_for_update().filter(
            machine__in=known,
            received__gte=min(one.received for one in new) - SAME,
        )
        kept_now = [
            (row.pk, Stretch(row.machine_id, row.start, row.end, row.received))
            for row in kept
        ]
        joined, replaced = join(new, kept_now)
        Backfill.objects.filter(pk__in=replaced).delete()
        Backfill.objects.bulk_create(
            Backfill(
                machine_id=s.machine, start=s.start, end=s.end, received=s.received
            )
            for s in joined
        )


def backfills(machine: Machine, start: datetime, end: datetime) -> list[Stretch]:
    """Return the backfilled stretches that touch [start, end), ascending."""
    with guard():
        rows = fetch(_TOUCHING, [machine.pk, start, end])
    columns = [bulk.moments(column) for column in zip(*rows, strict=True)]
    return [Stretch(machine.pk, *row) for row in zip(*columns, strict=True)]


def gaps(
    machine: Machine, start: datetime, end: datetime, samples: Times | None = None
) -> list[Gap]:
    """Return when the machine has no samples in [start, end), and why, ascending.

    Read from the finest tier that still has each moment, unless it is known already
    when all samples in there were taken. At most MAX_GAPS, the newest. Raises
    DatabaseDown.
    """
    asked = Asked(machine, start, end)
    if samples is None:
        return gaps_of([asked])[0]
    return _gaps([asked], lambda there: [[_taken(samples, one)] for one in there])[0]


def gaps_of(asked: Sequence[Asked]) -> list[list[Gap]]:
    """Return `gaps` of each, in as many queries as of one."""
    return _gaps(asked, _read)


def _gaps(
    asked: Sequence[Asked], read: Callable[[Sequence[Asked]], list[list[_Rows]]]
) -> list[list[Gap]]:
    known = [
        one._replace(start=max(one.start, one.machine.first_seen)) for one in asked
    ]
    there = [one for one in known if one.start < one.end]
    if not there:
        return [[] for _ in asked]
    with guard():
        rows = zip(there, read(there), strict=True)
        holes = iter([_between(one, own) for one, own in rows])
        absences = away.between(
            min(one.start for one in there), max(one.end for one in there)
        )
    return [
        [gap for hole in next(holes)[-MAX_GAPS:] for gap in explain(*hole, absences)]
        if one.start < one.end
        else []
        for one in known
    ]


def explain(
    start: datetime, end: datetime, absences: Sequence[tuple[datetime, datetime]]
) -> list[Gap]:
    """Cut a hole where the hub went away or came back. Pure.

    `absences` are ascending and do not overlap.
    """
    found: list[Gap] = []
    at = start
    for left, came in absences:
        left, came = max(left, at), min(came, end)
        if left >= came:
            continue
        if left > at:
            found.append(Gap(at, left, "no agent"))
        found.append(Gap(left, came, "hub away"))
        at = came
    if at < end:
        found.append(Gap(at, end, "no agent"))
    return found


def expire(before: datetime) -> int:
    """Forget what is older than every tier; return how many rows went."""
    deleted, _ = Backfill.objects.filter(end__lt=before).delete()
    return deleted + away.expire(before)


def join(
    new: Iterable[Stretch], kept: Sequence[tuple[int, Stretch]]
) -> tuple[list[Stretch], list[int]]:
    """Join stretches with those that they touch; return them and whom they replace.

    Pure. `kept` has a key beside each; only those that were touched are replaced.
    """
    joined: list[Stretch] = []
    replaced: list[int] = []
    left: dict[int, list[tuple[int, Stretch]]] = {}
    for key, old in kept:
        left.setdefault(old.machine, []).append((key, old))
    for stretch in sorted(new, key=lambda one: (one.machine, one.start)):
        own = left.get(stretch.machine, [])
        touched = [(key, old) for key, old in own if _touch(stretch, old)]
        left[stretch.machine] = [pair for pair in own if pair not in touched]
        replaced += [key for key, _ in touched]
        whole = [stretch, *(old for _, old in touched)]
        if joined and _touch(joined[-1], stretch):
            whole.append(joined.pop())
        joined.append(
            Stretch(
                stretch.machine,
                min(one.start for one in whole),
                max(one.end for one in whole),
                max(one.received for one in whole),
            )
        )
    return joined, replaced


def _touch(one: Stretch, other: Stretch) -> bool:
    return (
        one.machine == other.machine
        and one.start <= other.end + JOINED
        and other.start <= one.end + JOINED
        and abs(one.received - other.received) <= SAME
    )


def _taken(samples: Times, asked: Asked) -> _Rows:
    inside = (samples >= to_ms(asked.start)) & (samples < to_ms(asked.end))
    return samples[inside], RAW.width_ms


def _read(asked: Sequence[Asked]) -> list[list[_Rows]]:
    rows: list[list[_Rows]] = [[] for _ in asked]
    since = watermarks()
    until = [one.end for one in asked]
    for tier in TIERS:
        first = since[tier.name].since
        begins = [max(one.start, first) if first else one.start for one in asked]
        places = [n for n, begin in enumerate(begins) if begin < until[n]]
        spans = [
            Span(asked[n].machine.pk, to_ms(begins[n]), to_ms(until[n])) for n in places
        ]
        for n, found in zip(places, moments(tier, spans), strict=True):
            rows[n].append((found, tier.width_ms))
            until[n] = begins[n]
    return rows


def _between(asked: Asked, rows: Sequence[_Rows]) -> list[tuple[datetime, datetime]]:
    """Return the stretches without a row."""
    at = np.concatenate([found for found, _ in rows])
    width = np.concatenate([np.full(len(found), width) for found, width in rows])
    order = np.argsort(at)
    begins = np.append(at[order], to_ms(asked.end))
    ends = np.insert((at + width)[order], 0, to_ms(asked.start))
    allowed_ms = 1000 * max(MISSED_TICKS * asked.machine.interval_s, SHORTEST_GAP_S)
    found_at = np.flatnonzero(begins - ends > allowed_ms).tolist()
    return [(from_ms(int(ends[n])), from_ms(int(begins[n]))) for n in found_at]
