"""A machine's spool gives way to another: a new one, or one that comes back.

An agent makes a new spool when it is installed again or its old one was damaged.
Two agents under one name take turns: each goes on where its own spool was.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from hub.storage.models import Cursor, MachineReport, PastSpool
from hub.storage.settle import Move
from hub.storage.tiers import from_ms

# Of each machine; the oldest go first.
KEPT = 50

COUNTERS = ("sequence", "before", "stored", "refused", "skipped", "duplicates")


def reached(machine: int, epoch: bytes) -> int:
    """Return how far a past spool came; 0 = this hub knows none such."""
    found = PastSpool.objects.filter(machine=machine, spool_epoch=epoch)
    return found.values_list("sequence", flat=True).first() or 0


def turn(machine: int, moves: Sequence[Move]) -> None:
    """Move several spools, or another than the cursor's; the last is the present one.

    Within the transaction that holds the machine's cursor.
    """
    cursor = Cursor.objects.get(machine=machine)
    for move in moves:
        if bytes(cursor.spool_epoch) != move.epoch:
            _archive(cursor)
            _begin(cursor, move.epoch)
        _add(cursor, move)
    cursor.save()


def _archive(cursor: Cursor) -> None:
    if not cursor.spool_epoch:
        return
    now = timezone.now()
    kept = PastSpool.objects.filter(machine=cursor.machine_id)
    report = MachineReport.objects.filter(
        machine=cursor.machine_id, spool_epoch=cursor.spool_epoch
    ).first()
    produced = max(cursor.sequence, report.produced if report else 0)
    PastSpool.objects.create(
        machine_id=cursor.machine_id,
        spool_epoch=cursor.spool_epoch,
        began=cursor.began,
        ended=now,
        produced=produced,
        skipped_at=cursor.skipped_at,
        lost=produced - cursor.sequence,
        **{name: getattr(cursor, name) for name in COUNTERS},
    )
    oldest = kept.order_by("-ended", "-pk").values_list("pk", flat=True)[KEPT:]
    PastSpool.objects.filter(pk__in=list(oldest)).delete()


def _begin(cursor: Cursor, epoch: bytes) -> None:
    """Let the cursor stand for another spool; its times stay until a sample comes."""
    past = PastSpool.objects.filter(
        machine=cursor.machine_id, spool_epoch=epoch
    ).first()
    cursor.spool_epoch = epoch
    cursor.began = past.began if past else timezone.now()
    cursor.skipped_at = past.skipped_at if past else None
    for name in COUNTERS:
        setattr(cursor, name, getattr(past, name) if past else 0)
    if past:
        past.delete()


def _add(cursor: Cursor, move: Move) -> None:
    cursor.sequence = move.sequence
    cursor.before += move.before
    cursor.stored += move.stored
    cursor.refused += move.refused
    cursor.skipped += move.skipped
    cursor.duplicates += move.duplicates
    if move.skipped:
        cursor.skipped_at = timezone.now()
    if move.last:
        cursor.time = from_ms(move.last.time_ms)
        cursor.received = from_ms(move.last.received_ms)
