"""An alert in the words of a page."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from hub.alerts import chapters
from hub.alerts.models import Alert, Chapter
from hub.alerts.muting import Muting
from hub.alerts.quantities import written
from hub.alerts.spec import Kind
from hub.web.alarms import WORST
from hub.web.templatetags import units

# As `hub.alerts.muting` says it, by the hub's clock.
UNTIL = re.compile(r"Silenced until (\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC")

OPERATORS = {
    "gt": "above",
    "gte": "at or above",
    "lt": "below",
    "lte": "at or below",
    "eq": "exactly",
    "ne": "other than",
}
# What kind of thing it is, of which there is one of each name.
KIND = ".type"
HOUR_MS = 3_600_000
AGGREGATIONS = {
    "avg": "on average over",
    "min": "all through",
    "max": "at its highest within",
    "rate": "in change per second over",
    "change": "in change within",
}


@dataclass(frozen=True)
class Story:
    """One alert, and whether anybody is told of it now."""

    alert: Alert
    muted: str = ""
    # Of one that is over: why nobody was told for a time.
    silence: Chapter | None = None

    @property
    def is_silenced(self) -> bool:
        """Whether the silence is one that a click may end."""
        return self.muted.startswith("Silenced")

    @property
    def muted_until(self) -> str:
        """Return the moment until which it is silenced, if there is one (ISO 8601)."""
        found = UNTIL.match(self.muted)
        return f"{found[1]}T{found[2]}Z" if found else ""

    @property
    def muted_briefly(self) -> str:
        """Leave the reason out: a row is short, and its title says all."""
        if not self.is_silenced:
            return self.muted
        return self.muted.partition(": ")[0].replace("until it is ", "until ")

    @property
    def urgency(self) -> tuple[bool, int]:
        """Sort by it for the worst first; what somebody has answered can wait."""
        is_answered = bool(self.muted) or self.alert.acknowledged_at is not None
        return is_answered, WORST.index(self.alert.severity)

    @property
    def kind(self) -> str:
        return str(self.alert.snapshot.get("kind", ""))

    @property
    def sign(self) -> str:
        return self.alert.severity if self.alert.is_open else "ok"

    @property
    def word(self) -> str:
        return self.alert.severity.capitalize() if self.alert.is_open else "Resolved"

    @property
    def machine_id(self) -> str:
        return self.alert.machine.machine_id if self.alert.machine else ""

    @property
    def machine_title(self) -> str:
        machine = self.alert.machine
        return machine.title if machine else self.alert.machine_title

    @property
    def series(self) -> str:
        """What tells the series from its neighbours: "/data", "eth0, receive"."""
        told = self.alert.attributes.items()
        return ", ".join(
            str(value) for name, value in told if value and not name.endswith(KIND)
        )

    @property
    def now(self) -> str:
        if self.kind == Kind.DOWN:
            return f"silent for {_duration(self.lasted_s)}"
        value = self.alert.last_value
        return self.shown(self.alert.value if value is None else value)

    @property
    def peak(self) -> str:
        return self.shown(self.alert.peak_value)

    @property
    def at_opening(self) -> str:
        return self.shown(self.alert.value)

    def shown(self, value: float | None) -> str:
        if value is None or value != value:
            return ""
        if self.kind == Kind.DOWN:
            # Intervals at the opening say little; how long it lasts says all.
            return ""
        if self.kind == Kind.FORECAST:
            return f"in {units.join(units.duration_parts(max(value, 60)))}"
        return amount(value, self.alert.unit)

    @property
    def opened_ms(self) -> int:
        return _ms(self.alert.opened_at)

    @property
    def around(self) -> str:
        """Return the address' part that asks charts for its time, and an hour more."""
        end_ms = self.opened_ms + int(self.lasted_s * 1000)
        return f"?from={self.opened_ms - HOUR_MS}&to={end_ms + HOUR_MS}"

    @property
    def opened_age_s(self) -> float:
        return time.time() - self.alert.opened_at.timestamp()

    @property
    def resolved_ms(self) -> int | None:
        at = self.alert.resolved_at
        return _ms(at) if at else None

    @property
    def peak_ms(self) -> int | None:
        return _ms(self.alert.peak_at) if self.alert.peak_at else None

    @property
    def acknowledged_by(self) -> str:
        by = self.alert.acknowledged_by
        return by.get_username() if by else "somebody"

    @cached_property
    def lasted_s(self) -> float:
        end = self.alert.resolved_at
        ended = end.timestamp() if end else time.time()
        return max(0.0, ended - self.alert.opened_at.timestamp())

    @property
    def condition(self) -> str:
        """Say what the rule asked for when the alert opened."""
        rule = self.alert.snapshot
        if self.kind == Kind.DOWN:
            return "The machine sent nothing while the hub was listening."
        levels = [
            f"{level} {OPERATORS.get(str(rule.get('operator')), '')} "
            f"{amount(float(bound), self.alert.unit)}"
            for level in ("warning", "critical")
            if isinstance(bound := rule.get(level), (int, float))
        ]
        parts = [", ".join(levels)]
        window_s, aggregation = _number(rule, "window_s"), str(rule.get("aggregation"))
        if window_s and aggregation in AGGREGATIONS:
            parts.append(f"{AGGREGATIONS[aggregation]} {_duration(window_s)}")
        if self.kind == Kind.FORECAST and (horizon_s := _number(rule, "horizon_s")):
            parts.append(f"expected within {_duration(horizon_s)}")
        if for_s := _number(rule, "for_s"):
            parts.append(f"for at least {_duration(for_s)}")
        said = " ".join(part for part in parts if part)
        return f"{said[:1].upper()}{said[1:]}." if said else ""


def stories(alerts: Iterable[Alert]) -> list[Story]:
    """Return the stories of some alerts; of the open ones with why they are muted."""
    found = list(alerts)
    muting = Muting() if any(alert.is_open for alert in found) else None
    over = [alert for alert in found if not alert.is_open]
    silenced = chapters.silences(over) if over else {}
    return [
        Story(
            alert,
            (muting.why(alert) or "") if muting and alert.is_open else "",
            silenced.get(alert.pk),
        )
        for alert in found
    ]


def amount(value: float, unit: str) -> str:
    """Return a value in its unit, rates of ratios included."""
    if not unit:
        return units.join(units.number_parts(value))
    if unit.endswith("/s") and unit != "By/s" and not unit.startswith("{"):
        return written(value, unit)
    return units.join(units.parts(value, unit))


def _number(rule: dict[str, object], name: str) -> float:
    found = rule.get(name)
    return float(found) if isinstance(found, (int, float)) else 0.0


def _duration(seconds: float) -> str:
    return units.join(units.duration_parts(seconds))


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
