"""When the hub could store nothing: a heartbeat in the database that paused.

Every process that takes samples beats the same row; the hub was away when none did.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from hub.storage.bulk import fetch, moments
from hub.storage.database import guard
from hub.storage.models import Heartbeat, HubAway

BEAT_S = 10.0
# A beat or two may be late; agents lose nothing, but it shows beyond this.
PAUSE = timedelta(seconds=30)

# Charts ask this each time, and it takes half as long as Django's own.
_BETWEEN = """
SELECT start, "end" FROM storage_hubaway
WHERE "end" > %s AND start < %s ORDER BY start
"""


def beat(now: datetime | None = None) -> HubAway | None:
    """Note that samples can be stored now; return the pause that this ends.

    Raises DatabaseDown.
    """
    now = now or timezone.now()
    with guard(), transaction.atomic():
        last = Heartbeat.objects.select_for_update().filter(pk=Heartbeat.ROW).first()
        if last is None:
            Heartbeat.objects.get_or_create(pk=Heartbeat.ROW, defaults={"at": now})
            return None
        pause = None
        if now - last.at > PAUSE:
            pause = HubAway.objects.create(start=last.at, end=now)
        if now > last.at:
            last.at = now
            last.save(update_fields=["at"])
        return pause


def between(start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Return the hub's absences that touch [start, end), ascending."""
    rows = fetch(_BETWEEN, [start, end])
    return list(
        zip(*(moments(column) for column in zip(*rows, strict=True)), strict=True)
    )


def expire(before: datetime) -> int:
    deleted, _ = HubAway.objects.filter(end__lt=before).delete()
    return deleted
