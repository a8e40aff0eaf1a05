"""A stretch of a tier, made of the finer one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hub.storage import buckets, layouts
from hub.storage.buckets import Buckets, fold_buckets, fold_rows
from hub.storage.layouts import UnknownLayout
from hub.storage.rows import Rows, of_many
from hub.storage.tiers import FINER, RAW, Tier


def fold(
    tier: Tier,
    machines: Sequence[int],
    start: datetime,
    end: datetime,
    *,
    limit: int | None = None,
) -> list[Buckets] | None:
    """Return a tier's buckets in [start, end), made of the finer tier's rows.

    None if those are more than `limit`.
    """
    if FINER[tier] is RAW:
        rows = of_many(machines, start, end, limit=limit)
        if rows is None:
            return None
        return [fold_rows(some, tier.width_ms) for some in rows if fits(some)]
    fine = buckets.read(FINER[tier], machines, start, end, limit=limit)
    return fine and [fold_buckets(some, tier.width_ms) for some in fine]


def fits(rows: Rows) -> bool:
    """Tell whether rows are as long as their layout says; others mean nothing."""
    try:
        layout = layouts.get(rows.layout)
    except UnknownLayout:
        return False
    return rows.values.shape == (len(rows.values), len(layout.series))
