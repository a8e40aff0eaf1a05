"""The points of all charts of a machine, as bytes.

They travel as float32 arrays behind a JSON head: an hour of a hundred series is a
few copies of memory here and needs no parsing in `static/js/chart-data.js`.

    uint32 length of the head | head, padded to 8 | float64 times (ms)
    | for each series: float32 average [, minimum, maximum when folded]
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from datetime import datetime

import numpy as np
import orjson
from numpy.typing import NDArray

from hub.storage.fold import Matrix, Times
from hub.storage.window import Window, WindowSeries
from hub.web.describe import describe

# Two missed ticks are a gap; one late tick is not.
GAP_STEPS = 2.5


def encode(
    window: Window, *, folded: bool, marks: Mapping[str, object] | None = None
) -> bytes:
    """Return the body of a machine's chart data; `marks` go into its head."""
    times = axis(window)
    described, used = describe(window.series)
    head = orjson.dumps(
        {
            "from": _ms(window.start),
            "to": _ms(window.end),
            "step": window.step_s,
            "tier": window.tier,
            "parts": [
                {"tier": tier, "from": _ms(start), "to": _ms(end)}
                for tier, start, end in window.parts
            ],
            "folded": folded,
            "points": len(times),
            "charts": described,
            **(marks or {}),
            "series": [
                {
                    "metric": series.info.metric,
                    "attributes": dict(series.info.attributes),
                }
                for series in used
            ],
        }
    )
    head += b" " * (-(len(head) + 4) % 8)
    parts = [struct.pack("<I", len(head)), head, times.astype("<f8").tobytes()]
    # Series without gaps of their own share their moments.
    places = {
        key: np.searchsorted(times, moments) for key, moments in _moments(used).items()
    }
    for series in used:
        bands = (series.avg, series.min, series.max) if folded else (series.avg,)
        where = places[id(series.time_ms)]
        parts += [_placed(where, band, len(times)).tobytes() for band in bands]
    return b"".join(parts)


def axis(window: Window) -> Times:
    """Return the moments of all series, with one more inside every gap."""
    known = list(_moments(window.series).values())
    if not known:
        return np.empty(0, np.int64)
    times = np.unique(np.concatenate(known))
    gaps = np.flatnonzero(np.diff(times) > window.step_s * 1000 * GAP_STEPS)
    # A moment at which nothing has a value: the line breaks there.
    return np.insert(times, gaps + 1, times[gaps] + int(window.step_s * 1000))


def _moments(many: Iterable[WindowSeries]) -> dict[int, Times]:
    """Return each array of moments once, by its identity."""
    return {id(series.time_ms): series.time_ms for series in many}


def _placed(where: NDArray[np.intp], values: Matrix, count: int) -> Matrix:
    """Return values on the common axis, NaN where there are none."""
    out = np.full(count, np.nan, "<f4")
    out[where] = values
    return out


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
