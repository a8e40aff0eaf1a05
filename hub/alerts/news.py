"""What an alert's event says; the row has the rest."""

from __future__ import annotations

from typing import Any

import orjson

from hub.alerts.models import Alert
from hub.events.event import Event


def fields(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.pk,
        "machine": alert.machine.machine_id if alert.machine else "",
        "severity": alert.severity,
        "rule": alert.rule_name,
        "state": alert.state,
    }


def event(topic: str, alert: Alert) -> Event:
    return Event(topic, orjson.dumps(fields(alert)))
