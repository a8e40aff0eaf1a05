"""Samples that the database would not take: kept for a person, not for ever lost."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from django.db import DatabaseError, transaction
from django.db.models import F, Model, QuerySet

from hub.log import get_logger
from hub.storage import raw
from hub.storage.database import DatabaseDown, guard
from hub.storage.models import Cursor, DeadLetter, PastSpool
from hub.storage.sample import StoredSample
from hub.storage.settle import Incoming, RefusedAt
from hub.storage.tiers import from_ms

log = get_logger(__name__)

# Beyond this the oldest go: they are for looking at, not an archive.
KEPT = 10_000

_REASON_CHARACTERS = 2_000
_UNPRINTABLE = re.compile(r"[^\n -~\u00a0-\ud7ff\ue000-\uffff]")


def bury(incoming: Incoming, reason: str) -> None:
    """Set a sample aside; its number is settled as refused, in one transaction.

    Raises DatabaseDown.
    """
    sample = incoming.sample
    refused = RefusedAt(sample.machine, incoming.epoch, sample.sequence)
    try:
        with guard(), transaction.atomic():
            _keep(incoming, reason)
            raw.write([], [refused])
    except DatabaseDown:
        raise
    except DatabaseError:
        # Not even here: it must not stand in everybody's way all the same.
        log.exception("dead_letter.refused", machine=sample.machine)
        raw.write([], [refused])


def try_again(letters: Iterable[DeadLetter]) -> tuple[int, list[tuple[int, str]]]:
    """Store what can be stored now; return how many, and why which others not."""
    stored, refused = 0, []
    for letter in letters:
        try:
            with transaction.atomic():
                _restore(letter)
        except (DatabaseError, ValueError) as error:
            refused.append((letter.pk, str(error).strip()))
        else:
            stored += 1
    return stored, refused


def _keep(incoming: Incoming, reason: str) -> None:
    sample = incoming.sample
    printable = _UNPRINTABLE.sub("?", reason)[:_REASON_CHARACTERS]
    DeadLetter.objects.get_or_create(
        machine_id=sample.machine,
        spool_epoch=incoming.epoch,
        sequence=sample.sequence,
        defaults={
            "layout_id": sample.layout,
            "time": from_ms(sample.time_ms),
            "received": from_ms(sample.received_ms),
            "reason": printable,
            "values": sample.values,
        },
    )
    too_old = DeadLetter.objects.order_by("-pk").values_list("pk", flat=True)[KEPT:]
    if (last := too_old.first()) is not None:
        DeadLetter.objects.filter(pk__lte=last).delete()


def _restore(letter: DeadLetter) -> None:
    """Insert the row, and count it as stored instead of refused."""
    raw.restore(
        StoredSample(
            letter.machine_id,
            letter.layout_id,
            letter.sequence,
            _ms(letter.time),
            _ms(letter.received),
            bytes(letter.values),
        )
    )
    own = {"machine": letter.machine_id, "spool_epoch": letter.spool_epoch}
    spools: tuple[QuerySet[Model], ...] = (
        Cursor.objects.filter(**own),
        PastSpool.objects.filter(**own),
    )
    for spool in spools:
        spool.filter(refused__gt=0).update(
            stored=F("stored") + 1, refused=F("refused") - 1
        )
    letter.delete()


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
