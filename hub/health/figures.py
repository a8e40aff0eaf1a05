"""This process's own numbers, as one small dictionary that pages can show.

Histograms count from the start of the process; what people want to see is the
last minutes, so their buckets are noted now and then and the newest note is
compared with the oldest.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from hub import metrics

# A note every ten seconds or so, for five minutes.
NOTES = 30

Figures = dict[str, Any]
# Upper bounds, the last one infinite; how many were at most so large.
Buckets = tuple[tuple[float, ...], tuple[float, ...]]


def quantile(bounds: Sequence[float], counts: Sequence[float], share: float) -> float:
    """Return the quantile of cumulated counts; NaN when nothing was counted.

    Within a bucket the values are taken to be spread evenly; beyond the last
    bound nothing is known but the bound.
    """
    total = counts[-1]
    if total <= 0:
        return math.nan
    wanted = share * total
    place = next(place for place, count in enumerate(counts) if count >= wanted)
    if math.isinf(bounds[place]):
        return bounds[place - 1]
    below = counts[place - 1] if place else 0.0
    low = bounds[place - 1] if place else 0.0
    inside = counts[place] - below
    return low + (bounds[place] - low) * ((wanted - below) / inside if inside else 1)


class Recent:
    """The notes of one registry. `note` is called on time by `background`."""

    def __init__(
        self,
        registry: CollectorRegistry = metrics.registry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry, self._clock = registry, clock
        self._notes: deque[tuple[float, Mapping[str, Buckets], float]] = deque(
            maxlen=NOTES
        )

    def note(self) -> None:
        now, families = self._clock(), list(self._registry.collect())
        self._notes.append((now, _histograms(families), _cpu_s(families)))

    def figures(self) -> Figures:
        """Return plain numbers, and {"count", "p50", "p99"} for each histogram.

        Of several series with one name, the sum.
        """
        families = list(self._registry.collect())
        found: Figures = {}
        for family in families:
            if family.type == "histogram":
                continue
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0.0) + sample.value
        before: Mapping[str, Buckets] = {}
        # Without a note nobody knows since when; all at once would be a lot.
        if self._notes:
            then_s, before, cpu_before = self._notes[0]
            if (span_s := self._clock() - then_s) > 0:
                found["cpu_ratio"] = (_cpu_s(families) - cpu_before) / span_s
        for name, (bounds, counts) in _histograms(families).items():
            earlier = before.get(name, (bounds, (0.0,) * len(counts)))[1]
            new = [now - then for now, then in zip(counts, earlier, strict=True)]
            found[name] = {
                "count": new[-1],
                "p50": _told(quantile(bounds, new, 0.5)),
                "p99": _told(quantile(bounds, new, 0.99)),
            }
        return found


def _told(value: float) -> float | None:
    return None if math.isnan(value) else value


def _cpu_s(families: Sequence[Metric]) -> float:
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "process_cpu_seconds_total"
    )


def _histograms(families: Sequence[Metric]) -> dict[str, Buckets]:
    """Return the histograms without labels; those with labels are for scrapes."""
    found = {}
    for family in families:
        if family.type != "histogram":
            continue
        pairs = [
            (float(sample.labels["le"]), sample.value)
            for sample in family.samples
            if sample.name.endswith("_bucket") and set(sample.labels) == {"le"}
        ]
        if pairs:
            bounds, counts = zip(*pairs, strict=True)
            found[family.name] = bounds, counts
    return found


recent = Recent()
