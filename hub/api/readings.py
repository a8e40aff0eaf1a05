"""Vectors of 32-bit floats become lists that JSON can carry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from hub.storage import layouts
from hub.storage.layouts import LayoutInfo, UnknownLayout
from hub.storage.sample import StoredSample
from hub.storage.summary import plan
from hub.storage.window import WindowSeries

FLOAT_BYTES = 4


def numbers(vector: np.ndarray[Any, np.dtype[np.float32]]) -> list[float | None]:
    """Return the shortest decimals that mean the same; None for NaN, infinities.

    0.1 kept in 32 bits is 0.10000000149 in 64; orjson writes it as 0.1.
    """
    text = orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY)
    found: list[float | None] = orjson.loads(text)
    return found


def readings(sample: StoredSample) -> Iterator[dict[str, Any]]:
    """Yield every series of a sample's layout with its value."""
    layout = _layout(sample)
    if layout is None:
        return
    vector = numbers(np.frombuffer(sample.values, "<f4"))
    for series, value in zip(layout.series, vector, strict=True):
        yield {
            "metric": series.metric,
            "unit": series.unit,
            "attributes": dict(series.attributes),
            "value": value,
        }


def glance(sample: StoredSample) -> dict[str, Any] | None:
    """Return the summary of a sample."""
    layout = _layout(sample)
    if layout is None:
        return None
    found: dict[str, Any] = {**plan(layout).read(sample.values)}
    mount = found.pop("disk_mount")
    vector = numbers(np.array(list(found.values()), "<f4"))
    return {**dict(zip(found, vector, strict=True)), "disk_mount": mount}


def _layout(sample: StoredSample) -> LayoutInfo | None:
    """Return what the sample's places mean; None when nobody can say.

    Hot state outlives a database that is replaced under it, for five minutes.
    """
    try:
        layout = layouts.get(sample.layout)
    except UnknownLayout:
        return None
    fits = len(sample.values) == FLOAT_BYTES * len(layout.series)
    return layout if fits else None


def points(series: WindowSeries) -> list[dict[str, float]]:
    """Return what was measured, ascending; what is no number is no point."""
    kept = np.isfinite(series.min) & np.isfinite(series.avg) & np.isfinite(series.max)
    columns = (
        (series.time_ms[kept] / 1000).tolist(),
        *(numbers(column[kept]) for column in (series.min, series.avg, series.max)),
    )
    return [
        {"t": t, "min": low, "avg": mean, "max": high}
        for t, low, mean, high in zip(*columns, strict=True)
    ]
