"""Who hears of an alert, and when: decided on plain values."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from hub.alerts.matchers import Attributes, Matcher, accept
from hub.alerts.quiet import Hours, Repeated, Span
from hub.alerts.spec import Severity

FIRST_RETRY = timedelta(seconds=15)
MAX_RETRY = timedelta(minutes=30)
GIVE_UP_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Facts:
    """What routes and silences look at."""

    machine: str
    tags: frozenset[int]
    rule: int | None
    severity: Severity
    attributes: Attributes = ()
    machine_pk: int | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """One route."""

    route: int | None
    contacts: tuple[int, ...]
    level: Severity = Severity.WARNING
    tags: frozenset[int] = frozenset()
    rules: frozenset[int] = frozenset()
    hours: Hours | None = None
    group_wait: timedelta = timedelta(seconds=30)
    tell_resolved: bool = True
    remind_every: timedelta | None = timedelta(hours=4)
    remind_times: int = 6
    escalate_after: timedelta | None = None
    escalate_to: tuple[int, ...] = ()

    def takes(self, facts: Facts, at: datetime) -> bool:
        return (
            facts.severity >= self.level
            and (not self.tags or bool(self.tags & facts.tags))
            and (not self.rules or facts.rule in self.rules)
            and (self.hours is None or self.hours.covers(at))
        )


def recipients(ways: Iterable[Way], facts: Facts, at: datetime) -> dict[int, Way]:
    """Return each contact that hears of it, with the first route that says so."""
    found: dict[int, Way] = {}
    for way in ways:
        if way.takes(facts, at):
            for contact in way.contacts:
                found.setdefault(contact, way)
    return found


@dataclass(frozen=True, slots=True)
class Mute:
    """A silence or a maintenance window, at the moment it is asked about."""

    why: str
    machine: str = "*"
    machines: frozenset[int] = frozenset()
    tags: frozenset[int] = frozenset()
    rule: int | None = None
    matchers: tuple[Matcher, ...] = field(default=())

    def takes(self, facts: Facts) -> bool:
        chosen = bool(self.machines or self.tags)
        return (
            fnmatchcase(facts.machine, self.machine)
            and (
                not chosen
                or facts.machine_pk in self.machines
                or bool(self.tags & facts.tags)
            )
            and (self.rule is None or self.rule == facts.rule)
            and accept(self.matchers, facts.attributes)
        )


def muted(mutes: Iterable[Mute], facts: Facts) -> str | None:
    """Say why nobody is told, or return None."""
    return next((mute.why for mute in mutes if mute.takes(facts)), None)


def held_until(
    quiet: Hours | None, severity: Severity, at: datetime
) -> datetime | None:
    """Return until when a contact's quiet hours hold it back; None = tell it now."""
    if quiet is None or severity >= Severity.CRITICAL:
        return None
    return quiet.until(at)


def in_force(span: Span | Repeated | None, at: datetime) -> bool:
    return span is not None and span.until(at) is not None


def next_try(
    attempts: int,
    tried_since: datetime,
    now: datetime,
    *,
    chance: Callable[[], float] = random.random,
) -> datetime | None:
    """Return when to try again after so many attempts; None = give up.

    Doubled up to a cap, and a quarter earlier or later, so that what failed
    together does not come back together.
    """
    if now - tried_since >= GIVE_UP_AFTER:
        return None
    wait = min(FIRST_RETRY * 2.0 ** min(attempts - 1, 16), MAX_RETRY)
    share: float = 0.75 + 0.5 * chance()
    return now + wait * share
