"""The rules that every hub has from its first start, switched off until asked for.

Quiet by design: each speaks of what lasts and what a person can act on.
`docs/alerts.md` gives the reason for each number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction

from hub.alerts.models import Rule

HOUR, DAY = 3600.0, 86400.0
MINUTE = 60.0

BARE = [{"name": "", "op": "=", "glob": ""}]


def _not(name: str, *globs: str) -> list[dict[str, str]]:
    return [{"name": name, "op": "!=", "glob": glob} for glob in globs]


# File systems that are full by their nature: read-only images.
DISKS = _not("system.filesystem.type", "squashfs", "iso9660", "erofs")

# By slug. What is not said is the model's own default.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "machine-down": {
        "name": "Machine is down",
        "kind": "down",
        "operator": "gte",
        "critical": 12,
        "clear_for_s": 0,
        "note": "{machine} has not been heard for {value}.",
    },
    "cpu-busy": {
        "name": "CPU is busy",
        "metric": "system.cpu.utilization",
        "matchers": BARE,
        "aggregation": "avg",
        "window_s": 5 * MINUTE,
        "operator": "gte",
        "warning": 0.95,
        "for_s": 10 * MINUTE,
        "clear": 0.85,
        "clear_for_s": 2 * MINUTE,
    },
    "load-per-core": {
        "name": "Too much to run",
        "metric": "system.cpu.load_average.15m",
        "per": "system.cpu.logical.count",
        "operator": "gte",
        "warning": 4,
        "for_s": 10 * MINUTE,
        "clear": 3,
        "clear_for_s": 5 * MINUTE,
    },
    "memory-full": {
        "name": "Memory is nearly full",
        "metric": "system.memory.utilization",
        "operator": "gte",
        "warning": 0.92,
        "critical": 0.97,
        "for_s": 5 * MINUTE,
        "clear": 0.88,
        "clear_for_s": 2 * MINUTE,
    },
    "memory-pressure": {
        "name": "Waiting for memory",
        "metric": "system.pressure.full",
        "matchers": [{"name": "resource", "op": "=", "glob": "memory"}],
        "aggregation": "avg",
        "window_s": 2 * MINUTE,
        "operator": "gte",
        "warning": 0.10,
        "critical": 0.40,
        "for_s": 2 * MINUTE,
        "clear": 0.05,
        "clear_for_s": 2 * MINUTE,
    },
    "io-pressure": {
        "name": "Waiting for disks",
        "metric": "system.pressure.full",
        "matchers": [{"name": "resource", "op": "=", "glob": "io"}],
        "aggregation": "avg",
        "window_s": 5 * MINUTE,
        "operator": "gte",
        "warning": 0.60,
        "for_s": 15 * MINUTE,
        "clear": 0.40,
        "clear_for_s": 5 * MINUTE,
    },
    "swap-full": {
        "name": "Swap is nearly full",
        "metric": "system.paging.utilization",
        "operator": "gte",
        "warning": 0.80,
        "critical": 0.95,
        "for_s": 10 * MINUTE,
        "clear": 0.70,
        "clear_for_s": 5 * MINUTE,
    },
    "filesystem-full": {
        "name": "File system is nearly full",
        "metric": "system.filesystem.utilization",
        "matchers": DISKS,
        "operator": "gte",
        "warning": 0.90,
        "critical": 0.95,
        "for_s": 5 * MINUTE,
        "clear": 0.88,
        "clear_for_s": 5 * MINUTE,
    },
    "filesystem-forecast": {
        "name": "File system will be full",
        "kind": "forecast",
        "metric": "system.filesystem.utilization",
        "matchers": DISKS,
        "operator": "gte",
        "warning": 1.0,
        "horizon_s": DAY,
        "for_s": 30 * MINUTE,
        "clear_for_s": HOUR,
    },
    "inodes-full": {
        "name": "File system runs out of inodes",
        "metric": "system.filesystem.inode.utilization",
        "operator": "gte",
        "warning": 0.90,
        "critical": 0.97,
        "for_s": 5 * MINUTE,
        "clear": 0.88,
        "clear_for_s": 5 * MINUTE,
    },
    "temperature": {
        "name": "Too hot",
        "metric": "system.temperature",
        "aggregation": "avg",
        "window_s": MINUTE,
        "operator": "gte",
        "warning": 85,
        "critical": 95,
        "for_s": 5 * MINUTE,
        "clear": 80,
        "clear_for_s": 5 * MINUTE,
    },
    "container-unhealthy": {
        "name": "Container is unhealthy",
        "metric": "container.unhealthy",
        "operator": "gte",
        "warning": 1,
        "for_s": 2 * MINUTE,
        "clear_for_s": 2 * MINUTE,
    },
    "container-restarts": {
        "name": "Container keeps restarting",
        "metric": "container.restarts",
        "aggregation": "change",
        "window_s": 15 * MINUTE,
        "operator": "gte",
        "warning": 3,
        "for_s": 0,
        "clear": 1,
        "clear_for_s": 5 * MINUTE,
    },
    "unit-failed": {
        "name": "Unit has failed",
        "metric": "systemd.unit.failed",
        "operator": "gte",
        "warning": 1,
        "for_s": MINUTE,
        "clear_for_s": MINUTE,
    },
    "disk-failing": {
        "name": "Disk says that it will fail",
        "metric": "hw.status",
        "matchers": [{"name": "hw.state", "op": "=", "glob": "predicted_failure"}],
        "operator": "gte",
        "critical": 1,
        "for_s": 0,
        "clear_for_s": 5 * MINUTE,
    },
}


def rows() -> Iterable[dict[str, Any]]:
    """Return the fields of each default rule, switched off."""
    for slug, fields in DEFAULTS.items():
        yield {"built_in": slug, "enabled": False, **fields}


def install() -> int:
    """Add the default rules that are missing; return how many."""
    added = 0
    with transaction.atomic():
        there = set(Rule.objects.values_list("built_in", flat=True))
        names = set(Rule.objects.values_list("name", flat=True))
        for fields in rows():
            if fields["built_in"] not in there and fields["name"] not in names:
                Rule.objects.create(**fields)
                added += 1
    return added


def switch_on() -> list[Rule]:
    """Switch the default set on, adding what is missing; return what changed."""
    install()
    off = list(Rule.objects.filter(enabled=False).exclude(built_in=""))
    for rule in off:
        rule.enabled = True
        rule.save(update_fields=["enabled", "updated_at"])
    return off


def are_on() -> bool:
    """Tell whether any default rule is switched on."""
    return Rule.objects.filter(enabled=True).exclude(built_in="").exists()
