"""An alert's story is written where it happens, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser, User
from django.utils import timezone

from hub.alerts.models import Alert, Chapter
from hub.alerts.state import Happening

MAX_SAID = 1000

What = Chapter.What


def happened(found: Iterable[tuple[Alert, Happening]]) -> None:
    """Note what the evaluation found."""
    Chapter.objects.bulk_create(
        Chapter(
            alert=alert,
            at=alert.opened_at if what is Happening.OPENED else alert.changed_at,
            what=what.value,
            said=alert.resolved_why if what is Happening.RESOLVED else "",
        )
        for alert, what in found
    )


def answered(
    alert: Alert, what: Chapter.What, *, by: AbstractBaseUser, said: str = ""
) -> None:
    """Note what a person did."""
    Chapter.objects.create(
        alert=alert,
        what=what,
        by=by if isinstance(by, User) else None,
        by_name=by.get_username(),
        said=said[:MAX_SAID],
    )


def muted(alert: Alert, why: str, at: datetime | None = None) -> Chapter:
    """Return, not saved, that nobody was told, and why."""
    at = at or timezone.now()
    return Chapter(alert=alert, what=What.MUTED, at=at, said=why[:MAX_SAID])


def silences(alerts: Iterable[Alert]) -> dict[int, Chapter]:
    """Return by alert why nobody was told of it for a time, the first such chapter."""
    kinds = (What.SILENCED, What.MUTED)
    found = Chapter.objects.filter(alert__in=list(alerts), what__in=kinds)
    return {one.alert_id: one for one in found.order_by("-at", "-pk")}


def of(alert: Alert) -> list[Chapter]:
    """Return an alert's story, from its beginning."""
    return list(Chapter.objects.filter(alert=alert))
