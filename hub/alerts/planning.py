"""What happened becomes messages: who hears of it, with what, and when.

    happenings   rows of the outbox: opened, became critical, resolved
    notices      one alert, one contact, one reason: unique, so told once
    deliveries   the notices of a contact that go out as one message

One planner at a time; everything of a run is one transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Prefetch

from hub.alerts import chapters
from hub.alerts.models import (
    Alert,
    Chapter,
    Contact,
    Delivery,
    Happening,
    Notice,
    Route,
)
from hub.alerts.muting import Muting, facts
from hub.alerts.routing import GIVE_UP_AFTER, Way, held_until, recipients
from hub.alerts.spec import Severity

# Of one transaction; the rest follows in the next.
BATCH = 500

# One planner of all processes: the key of an advisory lock, any number of ours.
PLANNER = 0x736D_706C_616E

# When a reminder falls into a silence, it is looked at again after this.
LOOK_AGAIN = timedelta(minutes=5)

# Without any route, whoever is entered as a contact hears everything.
EVERYBODY = timedelta(seconds=30)


def plan(now: datetime) -> int:
    """Turn what waits into messages; return how many happenings are dealt with."""
    # A look without a lock: most of the time there is nothing.
    if not _anything(now):
        return 0
    with _alone() as alone:
        return Planner(now).run() if alone else 0


def _anything(now: datetime) -> bool:
    return (
        Happening.objects.exclude(state=Happening.State.DONE).exists()
        or Notice.objects.filter(remind_at__lte=now).exists()
        or Notice.objects.filter(escalate_at__lte=now).exists()
    )


@contextmanager
def _alone() -> Iterator[bool]:
    """Open a transaction that no other planner has at the same time."""
    with transaction.atomic():
        if connection.vendor != "postgresql":
            # A transaction of SQLite that writes is alone in any case.
            yield True
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [PLANNER])
            row = cursor.fetchone()
        yield bool(row and row[0])


class Planner:
    """One run: what is needed is read first, what follows is written last."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.muting = Muting(now)
        self.contacts = {
            contact.pk: contact for contact in Contact.objects.filter(enabled=True)
        }
        self.ways = ways(self.contacts)
        self.told: dict[int, list[Notice]] = {}
        self.new: list[Notice] = []
        self.muted: list[Chapter] = []
        self.waiting: dict[tuple[int, bool], Delivery] = {}

    def run(self) -> int:
        happenings = _happenings(Happening.State.WAITING)
        muted = self._no_longer_muted()
        reminders = _due(remind_at__lte=self.now)
        escalations = _due(escalate_at__lte=self.now)
        self._recall({one.alert_id for one in (*happenings, *muted)})
        self._recall({one.alert_id for one in (*reminders, *escalations)})
        for happening in (*happenings, *muted):
            self._happened(happening)
        for notice in reminders:
            self._remind(notice)
        for notice in escalations:
            self._escalate(notice)
        Happening.objects.bulk_update([*happenings, *muted], ["state", "why"])
        Notice.objects.bulk_update(reminders, ["remind_at"])
        Notice.objects.bulk_update(escalations, ["escalate_at"])
        Notice.objects.bulk_create(self.new)
        Chapter.objects.bulk_create(self.muted)
        return sum(one.state == Happening.State.DONE for one in (*happenings, *muted))

    def _no_longer_muted(self) -> list[Happening]:
        """Return what was muted and may be told now, or need not be any more.

        All are looked at: what is silenced for a month must not stand before what
        was silenced for an hour.
        """
        found: list[Happening] = []
        last = 0
        while len(found) < BATCH:
            some = _happenings(Happening.State.MUTED, after=last)
            if not some:
                break
            last = some[-1].pk
            found += [
                one
                for one in some
                if not one.alert.is_open or self.muting.why(one.alert) is None
            ]
        return found

    def _recall(self, alerts: set[int]) -> None:
        """Remember who was told what of these alerts."""
        new = alerts - self.told.keys()
        for notice in Notice.objects.filter(alert__in=new).order_by("pk"):
            self.told.setdefault(notice.alert_id, []).append(notice)

    def _happened(self, happening: Happening) -> None:
        alert, whats = happening.alert, Happening.What
        was_muted = happening.state == Happening.State.MUTED
        if happening.what == whats.ACKNOWLEDGED:
            _done(happening, "")
        elif why := self.muting.why(alert):
            if happening.what == whats.RESOLVED or not alert.is_open:
                _done(happening, why)
            else:
                if not was_muted:
                    self.muted.append(chapters.muted(alert, why, self.now))
                happening.state, happening.why = Happening.State.MUTED, why[:500]
        elif happening.what == whats.RESOLVED:
            self._resolved(happening)
        elif was_muted and not alert.is_open:
            _done(happening, f"{happening.why}; resolved meanwhile")
        elif was_muted and alert.acknowledged_at:
            _done(happening, f"{happening.why}; acknowledged meanwhile")
        else:
            self._opened(happening)

    def _opened(self, happening: Happening) -> None:
        alert = happening.alert
        found = recipients(self.ways, facts(alert), self.now)
        for pk, way in found.items():
            self._tell(alert, self.contacts[pk], Notice.What(happening.what), way)
        _done(happening, "" if found else "No route leads to a contact.")

    def _resolved(self, happening: Happening) -> None:
        alert = happening.alert
        first: dict[int, Notice] = {}
        for notice in self.told.get(alert.pk, ()):
            first.setdefault(notice.contact_id, notice)
        for pk, notice in first.items():
            way = self._way(notice)
            if pk in self.contacts and way.tell_resolved:
                self._tell(alert, self.contacts[pk], Notice.What.RESOLVED, way)
        _done(happening, "" if first else "Nobody had been told of it.")

    def _remind(self, notice: Notice) -> None:
        way = self._way(notice)
        notice.remind_at = None
        over = self._is_settled(notice) or way.remind_every is None
        if over or notice.number >= way.remind_times:
            return
        if self._waits(notice):
            notice.remind_at = self.now + LOOK_AGAIN
            return
        contact = self.contacts[notice.contact_id]
        number = notice.number + 1
        self._tell(notice.alert, contact, Notice.What.REMINDER, way, number=number)

    def _escalate(self, notice: Notice) -> None:
        notice.escalate_at = None
        if self._is_settled(notice):
            return
        if self.muting.why(notice.alert):
            notice.escalate_at = self.now + LOOK_AGAIN
            return
        way = self._way(notice)
        for pk in way.escalate_to:
            contact = self.contacts[pk]
            self._tell(notice.alert, contact, Notice.What.ESCALATION, way)

    def _is_settled(self, notice: Notice) -> bool:
        alert = notice.alert
        gone = notice.contact_id not in self.contacts
        return gone or not alert.is_open or alert.acknowledged_at is not None

    def _waits(self, notice: Notice) -> bool:
        severity = Severity[notice.alert.severity.upper()]
        quiet = self.contacts[notice.contact_id].quiet
        held = held_until(quiet, severity, self.now)
        return held is not None or self.muting.why(notice.alert) is not None

    def _way(self, notice: Notice) -> Way:
        """Return the route of a notice as it is today."""
        for way in self.ways:
            if way.route == notice.route_id:
                return way
        return Way(route=None, contacts=(), remind_every=None)

    def _tell(
        self,
        alert: Alert,
        contact: Contact,
        what: Notice.What,
        way: Way,
        *,
        number: int = 0,
    ) -> None:
        told = self.told.setdefault(alert.pk, [])
        key = (contact.pk, what, number)
        if any((one.contact_id, one.what, one.number) == key for one in told):
            return
        first = what in (Notice.What.OPENED, Notice.What.ESCALATED)
        after = way.escalate_after if first and way.escalate_to else None
        notice = Notice(
            alert=alert,
            contact=contact,
            delivery=self._delivery(alert, contact, way),
            route_id=way.route,
            what=what,
            number=number,
            created_at=self.now,
            escalate_at=None if after is None else self.now + after,
        )
        told.append(notice)
        self.new.append(notice)

    def _delivery(self, alert: Alert, contact: Contact, way: Way) -> Delivery:
        """Return the contact's message that still waits, or begin one."""
        # A critical alert wakes people; so they also hear that it is over.
        severity = Severity[alert.peak_severity.upper()]
        held = held_until(contact.quiet, severity, self.now)
        due = held or self.now + way.group_wait
        key = (contact.pk, held is not None)
        if key not in self.waiting:
            self.waiting[key] = self._begun(contact, held is not None, due)
        delivery = self.waiting[key]
        if due < delivery.due_at:
            delivery.due_at = due
            delivery.save(update_fields=["due_at"])
        return delivery

    def _begun(self, contact: Contact, held: bool, due: datetime) -> Delivery:
        """Lock the message: a sender has taken it already, or gets all of it."""
        waiting = (
            Delivery.objects.select_for_update()
            .filter(contact=contact, state=Delivery.State.WAITING, held=held)
            # What is new gets a time of its own before anything is given up.
            .exclude(tried_since__lt=self.now - GIVE_UP_AFTER / 2)
            .order_by("pk")
            .first()
        )
        if waiting is None:
            return Delivery.objects.create(
                contact=contact, held=held, due_at=due, created_at=self.now
            )
        if waiting.attempts_made:
            # Whoever took it, though we do not know, has not seen what is added.
            waiting.key = uuid.uuid4()
            waiting.save(update_fields=["key"])
        return waiting


def _happenings(state: Happening.State, *, after: int = 0) -> list[Happening]:
    return list(
        Happening.objects.filter(state=state, pk__gt=after)
        .select_related("alert__machine")
        .prefetch_related("alert__machine__tags")
        .order_by("pk")[:BATCH]
    )


def _due(**field: datetime) -> list[Notice]:
    return list(
        Notice.objects.filter(**field)
        .select_related("alert__machine")
        .prefetch_related("alert__machine__tags")
        .order_by("pk")[:BATCH]
    )


def _done(happening: Happening, why: str) -> None:
    happening.state, happening.why = Happening.State.DONE, why[:500]


def ways(contacts: Iterable[int]) -> list[Way]:
    """Return the routes; without any, one to every contact."""
    enabled = frozenset(contacts)
    reachable = Contact.objects.filter(enabled=True)
    routes = Route.objects.filter(enabled=True).prefetch_related(
        "tags",
        "rules",
        Prefetch("contacts", reachable),
        Prefetch("escalate_to", reachable),
    )
    found = [_way(route) for route in routes]
    return found or [
        Way(route=None, contacts=tuple(sorted(enabled)), group_wait=EVERYBODY)
    ]


def _way(route: Route) -> Way:
    every, after = route.remind_every_s, route.escalate_after_s
    return Way(
        route=route.pk,
        contacts=tuple(contact.pk for contact in route.contacts.all()),
        level=Severity[route.level.upper()],
        tags=frozenset(tag.pk for tag in route.tags.all()),
        rules=frozenset(rule.pk for rule in route.rules.all()),
        hours=route.hours,
        group_wait=timedelta(seconds=route.group_wait_s),
        tell_resolved=route.tell_resolved,
        remind_every=None if every is None else timedelta(seconds=every),
        remind_times=route.remind_times,
        escalate_after=None if after is None else timedelta(seconds=after),
        escalate_to=tuple(contact.pk for contact in route.escalate_to.all()),
    )
