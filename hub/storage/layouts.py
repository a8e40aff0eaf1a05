"""Layouts: which series the places of a vector belong to.

A layout is known by the digest of all it says, so it never changes once it is
stored, and what is read once can be kept. One below zero is not stored yet, see
`provisional.py`.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from time import monotonic

from django.db import transaction
from django.utils import timezone

from hub.storage.database import guard
from hub.storage.models import Layout, LayoutSeries, Metric

# About 1 KB each beside the series, which layouts share.
CACHED_LAYOUTS = 8_192
CACHED_SERIES = 65_536
# Of all layouts together; a place that is looked up by name costs 150 bytes.
CACHED_PLACES = 1_000_000

# A layout is in use while an agent sends it. What was learnt is taken as stored for
# so long, and a use is noted no more often: `prune.py` waits for much longer.
LEASE = timedelta(hours=12)


class UnknownLayout(Exception):
    """No layout has this number (permanent)."""


@dataclass(frozen=True)
class SeriesInfo:
    """One metric with its attributes, sorted by key."""

    metric: str
    unit: str
    kind: str
    help: str
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def identity(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        return self.metric, self.attributes


@dataclass(frozen=True)
class LayoutInfo:
    """The series of a layout, in the order of its vectors."""

    id: int
    series: tuple[SeriesInfo, ...]

    def index(self, metric: str, **attributes: str) -> int | None:
        """Return the place of exactly this series, if the layout has it.

        Attributes whose names have dots are given as `**{"cpu.mode": "user"}`.
        """
        return self._places.get((metric, tuple(sorted(attributes.items()))))

    def matching(self, metric: str, attributes: Mapping[str, str]) -> list[int]:
        """Return the places of all series with at least these attributes."""
        wanted = attributes.items()
        return [
            place
            for place, series in enumerate(self.series)
            if series.metric == metric and wanted <= dict(series.attributes).items()
        ]

    @cached_property
    def _places(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], int]:
        return {series.identity: place for place, series in enumerate(self.series)}


_lock = threading.Lock()
_by_id: OrderedDict[int, LayoutInfo] = OrderedDict()
# With the moment when the database was last asked, by the monotonic clock.
_by_digest: OrderedDict[bytes, tuple[LayoutInfo, float]] = OrderedDict()
_places = 0
_shared: dict[SeriesInfo, SeriesInfo] = {}


def learn(series: Sequence[SeriesInfo]) -> LayoutInfo:
    """Return the stored layout of these series, storing it when it is new.

    Metrics are described by whoever came last. Raises DatabaseDown.
    """
    known = at_hand(series)
    if known is not None:
        return known
    digest = _digest(series)
    with guard():
        number = _store(digest, series)
    return keep(LayoutInfo(number, tuple(series)), digest)


def at_hand(series: Sequence[SeriesInfo]) -> LayoutInfo | None:
    """Return the layout of these series if this process has learnt it of late."""
    with _lock:
        known, asked_s = _by_digest.get(_digest(series), (None, 0.0))
    return known if monotonic() - asked_s < LEASE.total_seconds() else None


def cached(layout_id: int) -> LayoutInfo | None:
    """Return a layout if this process has it at hand; never asks the database."""
    with _lock:
        known = _by_id.get(layout_id)
        if known is not None:
            _by_id.move_to_end(layout_id)
        return known


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


def forget_all() -> None:
    """Empty the cache; for a database that was replaced under the process."""
    global _places
    with _lock:
        _places = 0
        _by_id.clear()
        _by_digest.clear()
        _shared.clear()


def described(series: Sequence[SeriesInfo]) -> bytes:
    """Return all that a layout says; `read` is the way back."""
    content = [[s.metric, s.unit, s.kind, s.help, s.attributes] for s in series]
    return json.dumps(content).encode()


def read(description: bytes) -> tuple[SeriesInfo, ...]:
    """Return the series of a description. Raises ValueError."""
    try:
        return tuple(
            SeriesInfo(metric, unit, kind, told, tuple((k, v) for k, v in attributes))
            for metric, unit, kind, told, attributes in json.loads(description)
        )
    except TypeError as wrong:
        raise ValueError("that describes no layout") from wrong


def digest_of(description: bytes) -> bytes:
    return hashlib.sha256(description).digest()


def _digest(series: Sequence[SeriesInfo]) -> bytes:
    return digest_of(described(series))


def _told(layout_id: int) -> tuple[SeriesInfo, ...]:
    """Return the series of a layout that only hot state knows."""
    # Hot state draws trails, and those read layouts.
    from hub.storage.hot import HotDown, get_hot

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


def keep(layout: LayoutInfo, digest: bytes | None = None) -> LayoutInfo:
    """Hold a layout at hand; return the one object that stands for it here."""
    global _places
    with _lock:
        if len(_shared) > CACHED_SERIES:
            _shared.clear()
        series = tuple(_shared.setdefault(info, info) for info in layout.series)
        kept = _by_id.get(layout.id)
        # One object for one layout: plans and callers compare by identity.
        if kept is None or kept.series != series:
            _places += len(series) - (len(kept.series) if kept else 0)
            kept = LayoutInfo(layout.id, series)
        _by_id[layout.id] = kept
        _by_id.move_to_end(layout.id)
        if digest is not None:
            _by_digest[digest] = kept, monotonic()
            _by_digest.move_to_end(digest)
        while len(_by_id) > CACHED_LAYOUTS or (
            _places > CACHED_PLACES and len(_by_id) > 1
        ):
            _, gone = _by_id.popitem(last=False)
            _places -= len(gone.series)
        while len(_by_digest) > CACHED_LAYOUTS:
            _by_digest.popitem(last=False)
        return kept
