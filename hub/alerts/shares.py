"""The machines are parted into shares, and each share has one process at a time.

A machine's samples must all come to one place: its windows and states are there.
A plain consumer group would deal them out to whoever asks. So every process hears
everything and evaluates its own shares; a lease in the database says which, and
every write checks the lease in its own transaction. Who stops breathing loses them.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from hub.alerts.models import Evaluator, Share

SHARES = 16
# Three breaths of BREATH_S (`engine.py`) may be missed.
LEASE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Claimed:
    mine: frozenset[int]
    # When somebody was last alive, if nobody was just now; None = all is well.
    nobody_since: datetime | None


def share_of(machine: int) -> int:
    return machine % SHARES


def claim(name: str, mine: Collection[int]) -> Claimed:
    """Breathe: renew what is held, take what is free, give up what is too much.

    Not more than its part of all; a share that is given up is free at once.
    """
    with transaction.atomic():
        _make_rows()
        # In one order for everybody, and one process at a time.
        rows = list(Share.objects.select_for_update().order_by("number"))
        nobody_since = _nobody_since()
        Evaluator.objects.update_or_create(name=name, defaults={"until": Now() + LEASE})
        Evaluator.objects.filter(until__lt=Now()).delete()
        fair = math.ceil(SHARES / Evaluator.objects.count())
        taken = set(
            Share.objects.filter(until__gt=Now())
            .exclude(owner__in=(name, ""))
            .values_list("number", flat=True)
        )
        held = [row.number for row in rows if row.owner == name]
        kept = [n for n in held if n in mine and n not in taken][:fair]
        free = [
            r.number for r in rows if r.number not in taken and r.number not in held
        ]
        kept += free[: max(0, fair - len(kept))]
        _give_up(name, set(held) - set(kept))
        Share.objects.filter(number__in=kept).update(owner=name, until=Now() + LEASE)
    return Claimed(frozenset(kept), nobody_since)


def leave(name: str) -> None:
    """Give everything up, so that nobody has to wait for the lease to end."""
    with transaction.atomic():
        _give_up(name, set(range(SHARES)))
        Evaluator.objects.filter(name=name).delete()


def hold(name: str, numbers: Collection[int]) -> dict[int, Share]:
    """Return those of these shares that are still this process's, locked."""
    rows = (
        Share.objects.select_for_update()
        .filter(number__in=numbers, owner=name)
        .order_by("number")
    )
    return {row.number: row for row in rows}


def _make_rows() -> None:
    if Share.objects.count() < SHARES:
        Share.objects.bulk_create(
            [Share(number=number) for number in range(SHARES)], ignore_conflicts=True
        )


def _nobody_since() -> datetime | None:
    if Evaluator.objects.filter(until__gt=Now()).exists():
        return None
    # Of those that left in good order, the shares remember.
    found = Evaluator.objects.aggregate(last=Max("until"))["last"]
    left = Share.objects.aggregate(last=Max("until"))["last"]
    last = max((moment for moment in (found, left) if moment), default=None)
    return last - LEASE if last else None


def _give_up(name: str, numbers: Collection[int]) -> None:
    Share.objects.filter(owner=name, number__in=numbers).update(owner="")
