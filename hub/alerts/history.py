"""Every alert there ever was: found by filter, page by page, newest first.

A page begins after the last alert of the one before (keyset), so it costs the same
however far back it is, and nothing is shown twice when new alerts come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import F, Q, QuerySet, TextField
from django.db.models.functions import Cast

from hub.alerts.models import Alert
from hub.machines.registry import past_for, visible_to

PAGE = 50
MOST = 200
# More words than people type; each is a comparison for each alert.
MAX_WORDS = 8


class BadKey(ValueError):
    """Where to go on is not what a page before said (permanent)."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for; an empty field asks for nothing."""

    state: str = ""
    severity: str = ""
    machine: str = ""
    rule: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    alerts: Sequence[Alert]
    # Where the next page begins; "" = there is none.
    after: str


def page(
    user: AbstractBaseUser | AnonymousUser,
    asked: Filter,
    *,
    after: str = "",
    size: int = PAGE,
) -> Page:
    """Return alerts that somebody may see.

    Raises BadKey.
    """
    size = max(1, min(size, MOST))
    found = search(visible(user), asked)
    if after:
        opened_at, pk = _read(after)
        found = found.filter(
            Q(opened_at__lt=opened_at) | Q(opened_at=opened_at, pk__lt=pk)
        )
    rows = list(found.order_by("-opened_at", "-pk")[: size + 1])
    more = len(rows) > size
    return Page(rows[:size], _written(rows[size - 1]) if more else "")


def visible(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Alert]:
    """Return the alerts of the machines that somebody may see, and may have seen."""
    return (
        Alert.objects.filter(
            Q(machine__in=visible_to(user)) | Q(machine=None) & past_for(user)
        )
        .select_related("machine", "acknowledged_by")
        # Who is told of an alert depends on them.
        .prefetch_related("machine__tags")
        .defer("samples")
    )


def search(alerts: QuerySet[Alert], asked: Filter) -> QuerySet[Alert]:
    if asked.state:
        alerts = alerts.filter(state=asked.state)
    if asked.severity:
        # Of what is over counts the worst that it was.
        alerts = alerts.filter(
            Q(state=Alert.Status.FIRING, severity=asked.severity)
            | Q(state=Alert.Status.RESOLVED, peak_severity=asked.severity)
        )
    if asked.machine:
        alerts = alerts.filter(
            Q(machine__machine_id=asked.machine) | Q(machine_title=asked.machine)
        )
    if asked.rule is not None:
        alerts = alerts.filter(rule=asked.rule)
    words = asked.text.replace("\0", "").split()[:MAX_WORDS]
    if words:
        alerts = alerts.annotate(
            told=Cast("attributes", TextField()), named=F("snapshot__name")
        )
    for word in words:
        alerts = alerts.filter(
            Q(machine_title__icontains=word)
            | Q(machine__machine_id__icontains=word)
            | Q(snapshot__name__icontains=word)
            | Q(metric__icontains=word)
            | Q(told__icontains=word)
            | Q(acknowledged_note__icontains=word)
        )
    return alerts


def _written(alert: Alert) -> str:
    return f"{alert.opened_at.isoformat()}_{alert.pk}"


def _read(key: str) -> tuple[datetime, int]:
    moment, _, pk = key.partition("_")
    try:
        at, number = datetime.fromisoformat(moment.replace(" ", "+")), int(pk)
    except ValueError:
        raise BadKey("It is not what a page before said") from None
    if at.tzinfo is None or not 0 <= number < 2**63:
        raise BadKey("It is not what a page before said")
    return at, number
