"""Alerts as the tests of pages need them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from hub.alerts.models import Alert, Rule
from hub.machines.models import Machine

MOUNT = "system.filesystem.mountpoint"


def opened(rule: Rule, machine: Machine | None, **more: Any) -> Alert:
    at = more.pop("opened_at", timezone.now() - timedelta(minutes=5))
    severity = more.pop("severity", "critical")
    fields = {
        "snapshot": rule.snapshot() | {"unit": "1"},
        "machine_title": machine.title if machine else "gone",
        "metric": rule.metric,
        "attributes": {MOUNT: "/data"},
        "series_key": f"{Alert.objects.count()}",
        "severity": severity,
        "peak_severity": severity,
        "opened_at": at,
        "changed_at": at,
        "value": 0.951,
        "peak_value": 0.97,
        "peak_at": at + timedelta(minutes=1),
        "last_value": 0.96,
    }
    return Alert.objects.create(rule=rule, machine=machine, **fields | more)


def page(client: Client, path: str = "/alerts/") -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def row(html: str, machine_id: str) -> str:
    found = re.search(rf'<tr data-id="{machine_id}".*?</tr>', html, re.DOTALL)
    assert found
    return found[0]
