"""Layouts: which series the places of a vector belong to.

A layout is known by the digest of all it says, so it never changes once it is
stored, and what is read once can be kept. One below zero is not stored yet, see
`provisional.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from hub.storage.database import guard
from hub.storage.hot import HotDown, get_hot
from hub.storage.kept_layouts import cached, forget_all, keep, learnt
from hub.storage.layout import LayoutInfo, SeriesInfo, described, digest_of, read
from hub.storage.models import Layout, LayoutSeries, Metric

# Others find here what they need of a layout.
__all__ = [
    "LayoutInfo",
    "SeriesInfo",
    "UnknownLayout",
    "at_hand",
    "cached",
    "described",
    "digest_of",
    "forget_all",
    "get",
    "keep",
    "learn",
    "read",
    "touch",
]

# A layout is in use while an agent sends it. What was learnt is taken as stored for
# so long, and a use is noted no more often: `prune.py` waits for much longer.
LEASE = timedelta(hours=12)


class UnknownLayout(Exception):
    """No layout has this number (permanent)."""


def learn(series: Sequence[SeriesInfo]) -> LayoutInfo:
    """Return the stored layout of these series, storing it when it is new.

    Metrics are described by whoever came last. Raises DatabaseDown.
    """
    digest = _digest(series)
    known = _learnt(digest)
    if known is not None:
        return known
    with guard():
        number = _store(digest, series)
    return keep(LayoutInfo(number, tuple(series)), digest)


def at_hand(series: Sequence[SeriesInfo]) -> LayoutInfo | None:
    """Return the layout of these series if this process has learnt it of late."""
    return _learnt(_digest(series))


def get(layout_id: int) -> LayoutInfo:
    """Return a stored layout. Raises UnknownLayout, DatabaseDown."""
    known = cached(layout_id)
    if known is not None:
        return known
    if layout_id < 0:
        return keep(LayoutInfo(layout_id, _told(layout_id)))
    with guard():
        rows = list(
            LayoutSeries.objects.filter(layout=layout_id)
            .order_by("position")
            .select_related("metric")
        )
        if not rows and not Layout.objects.filter(pk=layout_id).exists():
            raise UnknownLayout(f"no layout {layout_id}")
    return keep(LayoutInfo(layout_id, tuple(_series(row) for row in rows)))


def touch(ids: Iterable[int], at: datetime) -> None:
    """Note that layouts were in use until a moment."""
    used = Layout.objects.filter(pk__in=set(ids), last_used__lt=at - LEASE)
    used.update(last_used=at)


def _learnt(digest: bytes) -> LayoutInfo | None:
    return learnt(digest, within_s=LEASE.total_seconds())


def _digest(series: Sequence[SeriesInfo]) -> bytes:
    return digest_of(described(series))


def _told(layout_id: int) -> tuple[SeriesInfo, ...]:
    """Return the series of a layout that only hot state knows."""
    try:
        description = get_hot().layout(layout_id)
    except HotDown as down:
        raise UnknownLayout(f"layout {layout_id} cannot be read now") from down
    if description is None:
        raise UnknownLayout(f"no layout {layout_id}")
    return read(description)


def _store(digest: bytes, series: Sequence[SeriesInfo]) -> int:
    now = timezone.now()
    stored = Layout.objects.filter(digest=digest).values_list("pk", "last_used").first()
    if stored is not None and stored[1] > now - LEASE:
        return stored[0]
    # Whoever prunes holds the row: it is used from now on, or it is gone.
    if stored and Layout.objects.filter(pk=stored[0]).update(last_used=now):
        return stored[0]
    # Others see the layout when it is whole. A process that races waits at the
    # digest's index and then finds it.
    with transaction.atomic():
        metrics = _store_metrics(series)
        layout, is_new = Layout.objects.get_or_create(digest=digest)
        if is_new:
            LayoutSeries.objects.bulk_create(
                LayoutSeries(
                    layout=layout,
                    position=position,
                    metric_id=metrics[info.metric],
                    attributes=dict(info.attributes),
                )
                for position, info in enumerate(series)
            )
    return layout.pk


def _store_metrics(series: Sequence[SeriesInfo]) -> dict[str, int]:
    described = {info.metric: info for info in series}
    # One order for everybody: two processes cannot wait for each other.
    Metric.objects.bulk_create(
        [
            Metric(name=name, unit=info.unit, kind=info.kind, help=info.help)
            for name, info in sorted(described.items())
        ],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["unit", "kind", "help"],
    )
    found = Metric.objects.filter(name__in=described)
    return dict(found.values_list("name", "pk"))


def _series(row: LayoutSeries) -> SeriesInfo:
    metric = row.metric
    attributes = tuple(sorted(row.attributes.items()))
    return SeriesInfo(metric.name, metric.unit, metric.kind, metric.help, attributes)
