"""Who was told of an alert, how, and with what result: for pages and programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hub.alerts.models import Alert, Happening, Notice


@dataclass(frozen=True, slots=True)
class Try:
    number: int
    at: datetime
    # Of models.Attempt.Result.
    result: str
    status: int | None
    said: str
    next_try_at: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """One notice: to whom, why, how far it is, and every try."""

    contact: str
    # Of models.Contact.Kind.
    channel: str
    # Of models.Notice.What.
    why: str
    number: int
    # Of models.Delivery.State.
    state: str
    held: bool
    created_at: datetime
    due_at: datetime
    sent_at: datetime | None
    tries: tuple[Try, ...]


def ledger(alert: Alert) -> list[Told]:
    """Return what was told of an alert, in order; three queries."""
    notices = (
        Notice.objects.filter(alert=alert)
        .select_related("contact", "delivery")
        .prefetch_related("delivery__attempts")
        .order_by("pk")
    )
    return [_told(notice) for notice in notices]


def untold(alert: Alert) -> list[str]:
    """Say why nobody was told of what happened, if so."""
    found = Happening.objects.filter(alert=alert).exclude(why="")
    return list(found.order_by("pk").values_list("why", flat=True))


def _told(notice: Notice) -> Told:
    delivery = notice.delivery
    return Told(
        contact=notice.contact.name,
        channel=notice.contact.kind,
        why=notice.what,
        number=notice.number,
        state=delivery.state,
        held=delivery.held,
        created_at=notice.created_at,
        due_at=delivery.due_at,
        sent_at=delivery.sent_at,
        tries=tuple(
            Try(
                one.number,
                one.started_at,
                one.result,
                one.status,
                one.said,
                one.next_try_at,
            )
            for one in delivery.attempts.all()
        ),
    )
