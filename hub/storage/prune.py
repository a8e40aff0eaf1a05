"""Layouts that no row of any tier can hold any more are forgotten.

Containers that come and go make a new list of series each time. `last_used` is moved
on when an agent sends a layout and when its minutes become hours, so a row with a
layout is never much younger than that; what every tier has dropped the rows of,
nobody reads again. An agent that comes back with such a list learns it anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from django.conf import settings
from django.db import transaction

from hub.storage.database import guard
from hub.storage.models import DeadLetter, Layout, LayoutSeries, Metric
from hub.storage.tiers import HOUR, TIERS, watermarks

# A use is noted twice a day, streams last four hours, clocks are not all right.
MARGIN = timedelta(days=7)
# Otherwise what is in use may not have been noted since a long pause.
BEHIND = timedelta(hours=3)

# Of 300 series each, that is a second's work.
BATCH = 100
# The rest waits for the next hour.
WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Pruned:
    layouts: int = 0
    metrics: int = 0


def prune(now: datetime, *, clock: Callable[[], float] = monotonic) -> Pruned:
    """Forget layouts, and metrics that none has; return how many.

    Raises DatabaseDown.
    """
    deadline = clock() + WITHIN_S
    with guard():
        before = line(now)
        if before is None:
            return Pruned()
        layouts = metrics = 0
        while clock() < deadline and (some := _layouts(before)):
            layouts += some
        # A file of the archive does not say what kind a metric was.
        while not settings.ARCHIVE_URL and clock() < deadline and (some := _metrics()):
            metrics += some
    return Pruned(layouts, metrics)


def line(now: datetime) -> datetime | None:
    """Return the moment before which a layout's last use must be; None = none may go.

    Rows before a tier's `since` are gone, also where whole chunks are dropped.
    """
    marks = watermarks()
    rolled_up = marks[HOUR.name].until
    since = [mark.since for tier in TIERS if (mark := marks[tier.name]).since]
    if len(since) < len(TIERS) or rolled_up is None or rolled_up < now - BEHIND:
        return None
    return min(since) - MARGIN


@transaction.atomic
def _layouts(before: datetime) -> int:
    """Forget some; one that somebody takes into use at this moment stays."""
    held = (
        Layout.objects.select_for_update(skip_locked=True)
        .filter(last_used__lt=before)
        .exclude(pk__in=DeadLetter.objects.values("layout"))
        .order_by("pk")[:BATCH]
    )
    unused = [layout.pk for layout in held]
    LayoutSeries.objects.filter(layout__in=unused).delete()
    gone, _ = Layout.objects.filter(pk__in=unused).delete()
    return gone


@transaction.atomic
def _metrics() -> int:
    """Forget some that no layout has.

    Whoever stores a layout holds its metrics first: what is looked at once they
    are held here cannot change.
    """
    unused = Metric.objects.exclude(pk__in=LayoutSeries.objects.values("metric"))
    held = unused.select_for_update(skip_locked=True).order_by("pk")[:BATCH]
    numbers = [metric.pk for metric in held]
    gone, _ = unused.filter(pk__in=numbers).delete()
    return gone
