"""The layouts that this process has at hand, so that nobody asks for one twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from time import monotonic

from hub.storage.layout import LayoutInfo, SeriesInfo

# About 1 KB each beside the series, which layouts share.
CACHED_LAYOUTS = 8_192
CACHED_SERIES = 65_536
# Of all layouts together; a place that is looked up by name costs 150 bytes.
CACHED_PLACES = 1_000_000

_lock = threading.Lock()
_by_id: OrderedDict[int, LayoutInfo] = OrderedDict()
# With the moment when the database was last asked, by the monotonic clock.
_by_digest: OrderedDict[bytes, tuple[LayoutInfo, float]] = OrderedDict()
_places = 0
_shared: dict[SeriesInfo, SeriesInfo] = {}


def cached(layout_id: int) -> LayoutInfo | None:
    """Return a layout if this process has it at hand; never asks the database."""
    with _lock:
        known = _by_id.get(layout_id)
        if known is not None:
            _by_id.move_to_end(layout_id)
        return known


def learnt(digest: bytes, *, within_s: float) -> LayoutInfo | None:
    """Return a layout that was learnt of late, by the digest of what it says."""
    with _lock:
        known, asked_s = _by_digest.get(digest, (None, 0.0))
    return known if monotonic() - asked_s < within_s else None


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


def forget_all() -> None:
    """Empty the cache; for a database that was replaced under the process."""
    global _places
    with _lock:
        _places = 0
        _by_id.clear()
        _by_digest.clear()
        _shared.clear()
