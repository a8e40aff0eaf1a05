"""What roll-ups must come to, computed the slow and obvious way."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from hub.machines.models import Machine
from hub.storage import buckets, layouts
from hub.storage.models import Sample
from hub.storage.sample import StoredSample
from hub.storage.tiers import Tier, from_ms

_LONG_AGO, _FAR_AHEAD = from_ms(0), from_ms(4_000_000_000_000)

# machine, where the bucket begins (Unix ms), layout, metric
Key = tuple[int, int, int, str]


class Figures(NamedTuple):
    readings: int
    min: float
    avg: float
    max: float


def expected(samples: Iterable[StoredSample], width_ms: int) -> dict[Key, Figures]:
    """Return every bucket's figures of every series that read something."""
    readings: defaultdict[Key, list[float]] = defaultdict(list)
    for s in samples:
        start = s.time_ms - s.time_ms % width_ms
        values = np.frombuffer(s.values, "<f4").tolist()
        for info, value in zip(layouts.get(s.layout).series, values, strict=True):
            if not math.isnan(value):
                readings[s.machine, start, s.layout, info.metric].append(value)
    return {
        key: Figures(len(some), min(some), sum(some) / len(some), max(some))
        for key, some in readings.items()
    }


def stored(tier: Tier) -> dict[Key, Figures]:
    """Return what a tier holds, in the same words."""
    machines = list(Machine.objects.values_list("pk", flat=True))
    found: dict[Key, Figures] = {}
    for some in buckets.read(tier, machines, _LONG_AGO, _FAR_AHEAD) or []:
        series = layouts.get(some.layout).series
        for row, (machine, at) in enumerate(
            zip(some.machine.tolist(), some.time_ms.tolist(), strict=True)
        ):
            for place, info in enumerate(series):
                count, *rest = (m[row, place].item() for m in some.content.columns())
                if count:
                    found[machine, at, some.layout, info.metric] = Figures(count, *rest)
                else:
                    assert all(map(math.isnan, rest))
    return found


def check(tier: Tier, samples: Iterable[StoredSample]) -> None:
    """Compare a tier with what these samples come to; averages but for rounding."""
    wanted, found = expected(samples, tier.width_ms), stored(tier)
    assert found.keys() == wanted.keys()
    for key, figures in wanted.items():
        exact = figures._replace(avg=0), found[key]._replace(avg=0)
        assert exact[0] == exact[1], key
        assert math.isclose(figures.avg, found[key].avg, rel_tol=1e-5, abs_tol=1e-6), (
            key
        )


def raw() -> list[StoredSample]:
    """Return all raw samples there are."""
    return [
        StoredSample(
            row.machine_id,
            row.layout_id,
            row.sequence,
            round(row.time.timestamp() * 1000),
            0,
            bytes(row.values),
        )
        for row in Sample.objects.all()
    ]
