"""What people answer to an alert: "I am on it", and "not now".

Neither ends an alert: that does only what is measured. Both can be taken back.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from asgiref.sync import async_to_sync
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from hub.alerts import chapters, muting, news, outbox
from hub.alerts.chapters import What
from hub.alerts.models import Alert, Happening, Silence
from hub.events.bus import get_bus
from hub.events.event import ALERTS_CHANGED, BusDown

MAX_NOTE = 1000


def acknowledge(alert: Alert, *, by: AbstractBaseUser, note: str = "") -> None:
    """Note who looks after an alert: nobody is reminded of it any more.

    Whoever was first stays; a note may be added later.
    """
    with transaction.atomic():
        held = Alert.objects.select_for_update(of=("self",)).get(pk=alert.pk)
        is_first = held.acknowledged_at is None
        if is_first:
            held.acknowledged_at = timezone.now()
            held.acknowledged_by_id = by.pk
        if note:
            held.acknowledged_note = note[:MAX_NOTE]
        held.save(update_fields=_ANSWER)
        outbox.enqueue(held, Happening.What.ACKNOWLEDGED.value)
        if is_first or note:
            what = What.ACKNOWLEDGED if is_first else What.NOTED
            chapters.answered(held, what, by=by, said=note)
    _tell(held)
    alert.refresh_from_db()


def take_back(alert: Alert, *, by: AbstractBaseUser) -> None:
    """Undo an acknowledgement."""
    with transaction.atomic():
        held = Alert.objects.select_for_update(of=("self",)).get(pk=alert.pk)
        if held.acknowledged_at is not None:
            chapters.answered(held, What.TAKEN_BACK, by=by)
        held.acknowledged_at = held.acknowledged_by = None
        held.acknowledged_note = ""
        held.save(update_fields=_ANSWER)
        # It may be said again.
        what = Happening.What.ACKNOWLEDGED
        Happening.objects.filter(alert=held, what=what).delete()
    _tell(held)
    alert.refresh_from_db()


def silence(alert: Alert, *, by: AbstractBaseUser, length: timedelta | None) -> Silence:
    """Tell nobody of the alert's series for a time; None = until it is resolved."""
    until = FOREVER if length is None else timezone.now() + length
    reason = f"From the page of alert {alert.pk}."
    with transaction.atomic():
        made = muting.silence_alert(alert, until=until, reason=reason, by=by)
        if length is None:
            made.alert = alert
            made.save(update_fields=["alert"])
        said = "until it is resolved"
        if length is not None:
            said = f"until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        chapters.answered(alert, What.SILENCED, by=by, said=said)
    _tell(alert)
    return made


def lift(alert: Alert, *, by: AbstractBaseUser) -> int:
    """End the silences that were made for exactly this alert's series."""
    now = timezone.now()
    found = [one.pk for one in muting.silences_of(alert) if one.until > now]
    with transaction.atomic():
        ended = Silence.objects.filter(pk__in=found).update(until=now)
        if ended:
            chapters.answered(alert, What.LIFTED, by=by)
    _tell(alert)
    return ended


_ANSWER = ["acknowledged_at", "acknowledged_by", "acknowledged_note"]
# Ended by its alert, not by the clock.
FOREVER = datetime(9000, 1, 1, tzinfo=timezone.get_fixed_timezone(0))


def _tell(alert: Alert) -> None:
    """Tell the pages; the rows are there, they find them without us."""
    with suppress(BusDown):
        async_to_sync(get_bus().publish)(news.event(ALERTS_CHANGED, alert))
