"""What people are to be told, noted in the transaction in which it happened.

The rows are the truth: `plan_messages` makes messages of them, `delivery` sends
those. Whatever is killed in between, the next run goes on from the rows.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.utils import timezone

from hub.alerts.models import Alert, Happening


def enqueue(alert: Alert, happening: str) -> None:
    """Note that an alert was opened, escalated, resolved or acknowledged.

    Call it in the transaction that writes the alert. Twice is once.
    """
    enqueue_many([(alert, happening)])


def enqueue_many(happenings: Iterable[tuple[Alert, str]]) -> None:
    """The same for many alerts, in one statement."""
    now = timezone.now()
    rows = [
        Happening(
            alert=alert,
            what=Happening.What(happening),
            at=now,
            key=f"{alert.pk}:{happening}",
        )
        for alert, happening in happenings
    ]
    Happening.objects.bulk_create(rows, ignore_conflicts=True)
