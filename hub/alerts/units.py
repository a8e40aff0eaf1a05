"""In which unit a rule's thresholds and values are."""

from __future__ import annotations

from hub.alerts.spec import Aggregation, Kind
from hub.storage.models import Metric

INTERVALS = "{interval}"


def of_rule(kind: str, metric: str, aggregation: str, *, per: str = "") -> str:
    """Return the unit (UCUM) of a rule's thresholds; "" = none, or not known."""
    if kind == Kind.DOWN:
        return INTERVALS
    unit = of_metric(metric)
    if per:
        unit = "1" if unit and unit == of_metric(per) else ""
    if unit and kind == Kind.THRESHOLD and aggregation == Aggregation.RATE:
        return f"{unit}/s"
    return unit


def of_metric(name: str) -> str:
    found = Metric.objects.filter(name=name).values_list("unit", flat=True).first()
    return found or ""
