"""The open alerts as pages show them: what to look at now, on which machine.

As soon as one rule is switched on, rules decide what is worth a second look, and the
fixed levels (`levels.py`) say nothing any more. Of an alert that somebody has
acknowledged or silenced its machine is "to watch" and does not need anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http import HttpRequest

from hub.alerts.history import visible
from hub.alerts.models import Alert, Rule
from hub.alerts.muting import Muting

WORST = ("critical", "warning")
# Which number of a row an alert is about.
CELLS = {
    "system.cpu.utilization": "cpu",
    "system.memory.": "memory",
    "system.filesystem.": "disk",
}
# More names than this are a number.
NAMED = 5


@dataclass(frozen=True)
class Alarm:
    """One open alert."""

    alert: Alert
    # Why nobody is told of it; "" = people are.
    muted: str

    @property
    def is_answered(self) -> bool:
        return bool(self.muted) or self.alert.acknowledged_at is not None


@dataclass(frozen=True)
class Alarms:
    """All open alerts that somebody may see."""

    # Whether any rule is switched on.
    is_ruled: bool = False
    alarms: Sequence[Alarm] = ()
    by_machine: Mapping[int, list[Alarm]] = field(default_factory=dict)

    @cached_property
    def unanswered(self) -> int:
        return sum(not one.is_answered for one in self.alarms)

    @cached_property
    def level(self) -> str:
        """The worst that nobody has answered yet."""
        return worst(one.alert.severity for one in self.alarms if not one.is_answered)

    def state(self, machine: int) -> str:
        """Return "", "warning" or "critical" for a machine as a whole."""
        found = self.by_machine.get(machine, ())
        return worst(
            "warning" if one.is_answered else one.alert.severity for one in found
        )

    def cell(self, machine: int, name: str) -> str:
        """Return the level of one number of a machine's row."""
        found = self.by_machine.get(machine)
        if not found:
            return ""
        return worst(one.alert.severity for one in found if _cell(one.alert) == name)

    def told(self, machine: int) -> dict[str, Any] | None:
        """Return what a page's scripts need of a machine; None = nothing is open."""
        found = self.by_machine.get(machine)
        if not found:
            return None
        names = list(dict.fromkeys(one.alert.rule_name for one in found))
        more = len(names) - NAMED
        return {
            "state": self.state(machine),
            "level": worst(one.alert.severity for one in found),
            "count": len(found),
            "names": ", ".join(names[:NAMED])
            + (f" and {more} more" if more > 0 else ""),
            "cells": {
                name: level
                for name in dict.fromkeys(CELLS.values())
                if (level := self.cell(machine, name))
            },
        }

    def script(self) -> dict[str, Any]:
        """Return all of it as pages read it again when something happens."""
        machines = {
            one.alert.machine.machine_id: one.alert.machine_id
            for one in self.alarms
            if one.alert.machine
        }
        return {
            "ruled": self.is_ruled,
            "unanswered": self.unanswered,
            "level": self.level,
            "machines": {name: self.told(pk) for name, pk in machines.items() if pk},
        }


def of(request: HttpRequest) -> Alarms:
    """Return what whoever asks may see; read once for each request."""
    kept = getattr(request, _KEPT, None)
    if kept is None:
        kept = read(request.user)
        setattr(request, _KEPT, kept)
    assert isinstance(kept, Alarms)
    return kept


def read(user: AbstractBaseUser | AnonymousUser) -> Alarms:
    open_ = visible(user).filter(state=Alert.Status.FIRING)
    found = list(open_.order_by("-opened_at", "-pk"))
    muting = Muting() if found else None
    alarms = [
        Alarm(alert, (muting.why(alert) or "") if muting else "") for alert in found
    ]
    by_machine: dict[int, list[Alarm]] = {}
    for alarm in alarms:
        if alarm.alert.machine_id is not None:
            by_machine.setdefault(alarm.alert.machine_id, []).append(alarm)
    is_ruled = Rule.objects.filter(enabled=True).exists()
    return Alarms(is_ruled, alarms, by_machine)


def worst(levels: Iterable[str]) -> str:
    found = set(levels)
    return next((level for level in WORST if level in found), "")


def _cell(alert: Alert) -> str:
    return next(
        (name for start, name in CELLS.items() if alert.metric.startswith(start)), ""
    )


_KEPT = "_sysmonstm_alarms"
