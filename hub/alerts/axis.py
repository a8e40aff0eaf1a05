"""Round values for the axis of a picture, in the unit that people read."""

from __future__ import annotations

import math

from hub.alerts.quantities import is_hourly, shown, written

# Of a small picture.
MOST = 5
MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0
TIMES_S = (
    *(MINUTE_S * count for count in (1, 2, 5, 10, 15, 30)),
    *(HOUR_S * count for count in (1, 2, 3, 6, 12)),
    *(DAY_S * count for count in (1, 2, 7, 14, 28)),
)


def ticks(low: float, high: float, unit: str) -> list[tuple[float, str]]:
    """Return values within a range, ascending, each as it is written."""
    if high <= low:
        return [(low, shown(low, unit))]
    step = _step(high - low, unit)
    first, last = math.ceil(low / step), math.floor(high / step)
    values = [step * number for number in range(first, last + 1)]
    texts = [shown(value, unit) for value in values]
    if len(set(texts)) < len(texts):
        # Far from nothing and close together, three digits do not tell them apart.
        texts = [written(value, unit) for value in values]
    return list(zip(values, texts, strict=True))


def _step(span: float, unit: str) -> float:
    rough, size = span / MOST, 1.0
    if unit == "s" and rough > 30:
        return next((step for step in TIMES_S if step >= rough), rough)
    if unit == "By" and span >= 1024:
        size = 1024.0 ** int(math.log(span, 1024))
    elif is_hourly(unit):
        size = 1 / HOUR_S
    power: float = size * 10.0 ** math.floor(math.log10(rough / size))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= rough)
