"""The last five minutes of machines: to fill windows, and to show with an alert."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from math import isfinite

import numpy as np

from hub.alerts.ledger import Samples, moment
from hub.alerts.watched import Subject
from hub.log import get_logger
from hub.storage import layouts
from hub.storage.hot import HotDown, get_hot
from hub.storage.models import Sample
from hub.storage.sample import StoredSample

SPAN_MS = 300_000
# Kept with an alert.
AROUND = 60

log = get_logger(__name__)


def of(machines: Collection[int], now_ms: int) -> dict[int, list[StoredSample]]:
    """Return the last samples of machines, in the order in which they came."""
    found = _all_hot(machines)
    missing = [pk for pk in machines if pk not in found]
    for sample in _stored(missing, now_ms):
        found.setdefault(sample.machine, []).append(sample)
    for samples in found.values():
        samples.sort(key=lambda sample: (sample.received_ms, sample.time_ms))
    return found


def around(machine: int, subject: Subject, at_ms: int) -> Samples:
    """Return what led to an alert: [Unix ms, value] of its series, ascending."""
    if subject.series is None:
        return []
    metric, attributes = subject.series.metric, dict(subject.series.attributes)
    found: Samples = []
    for sample in _all_hot([machine]).get(machine, ()):
        if sample.received_ms > at_ms:
            continue
        layout = layouts.cached(sample.layout)
        place = layout.index(metric, **attributes) if layout else None
        if place is None:
            continue
        value = float(np.frombuffer(sample.values, "<f4")[place])
        found.append([sample.time_ms, value if isfinite(value) else None])
    return found[-AROUND:]


def _all_hot(machines: Collection[int]) -> dict[int, list[StoredSample]]:
    found = {}
    try:
        for machine in machines:
            if samples := list(get_hot().recent(machine)):
                found[machine] = samples
    except HotDown as down:
        # Once is enough: each further question would wait, too.
        log.warning("hot.down", error=str(down))
    return found


def _stored(machines: Collection[int], now_ms: int) -> Iterable[StoredSample]:
    """Read them from the raw tier: hot state in memory ends with its process."""
    if not machines:
        return
    rows = Sample.objects.filter(
        machine__in=machines, time__gte=moment(now_ms) - timedelta(milliseconds=SPAN_MS)
    ).values_list("machine_id", "layout_id", "sequence", "time", "delay_ms", "values")
    for machine, layout, sequence, time, delay_ms, values in rows.order_by("time"):
        time_ms = round(time.timestamp() * 1000)
        yield StoredSample(
            machine, layout, sequence, time_ms, time_ms + delay_ms, bytes(values)
        )
