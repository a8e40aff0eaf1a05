"""What followed an opening is kept with the alert, once there is something to keep.

By then the samples are in the tiers, those that came late too, so it does not matter
which process does it, or when: an alert that nobody completed is simply the next.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from hub.alerts.conditions import Floats
from hub.alerts.ledger import Samples
from hub.alerts.models import Alert
from hub.alerts.spec import DOWNWARD
from hub.storage.window import Selector, WindowSeries, window

BEFORE = timedelta(minutes=5)
AFTER = timedelta(minutes=5)
# A storm of alerts is completed a few at a time.
AT_ONCE = 20
# Of five seconds each, about; more could not be seen in the picture.
POINTS = 120
# Later the finest samples have expired, and nothing is better than too coarse.
GIVE_UP = timedelta(hours=6)


def complete(now: datetime) -> int:
    """Complete some alerts that opened long enough ago; return how many."""
    due = (
        Alert.objects.filter(samples_are_whole=False, opened_at__lte=now - AFTER)
        .select_related("machine")
        .order_by("opened_at")
    )
    found = list(due[:AT_ONCE])
    for alert in found:
        samples = around(alert) if now - alert.opened_at < GIVE_UP else []
        if len(samples) > 1:
            alert.samples = samples
        alert.samples_are_whole = True
    # Whatever else became of them meanwhile is not touched.
    Alert.objects.bulk_update(found, ["samples", "samples_are_whole"])
    return len(found)


def around(alert: Alert) -> Samples:
    """Return the samples of an alert's series before and after its opening."""
    if alert.machine is None or not alert.metric:
        return []
    per = str(alert.snapshot.get("per") or "")
    chosen = [Selector(alert.metric, alert.attributes)]
    chosen += [Selector(per)] if per else []
    start, end = alert.opened_at - BEFORE, alert.opened_at + AFTER
    read = window(alert.machine, chosen, start, end, points=POINTS).series
    own = alert.metric, tuple(sorted(alert.attributes.items()))
    series = next((one for one in read if one.info.identity == own), None)
    if series is None:
        return []
    times, values = series.time_ms, _worst(series, str(alert.snapshot.get("operator")))
    if per:
        by = next((one for one in read if one.info.identity == (per, ())), None)
        if by is None:
            return []
        times, here, there = np.intersect1d(
            times, by.time_ms, assume_unique=True, return_indices=True
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            values = values[here] / by.avg[there]
    return [
        [at_ms, float(value) if np.isfinite(value) else None]
        for at_ms, value in zip(times.tolist(), values.tolist(), strict=True)
    ]


def _worst(series: WindowSeries, operator: str) -> Floats:
    return series.min if operator in DOWNWARD else series.max
