"""Alerts to tell of, contacts to tell, and a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction

from hub.alerts.delivery import deliver
from hub.alerts.models import Alert, Contact, Delivery, Notice, Route, Rule
from hub.alerts.outbox import enqueue, enqueue_many
from hub.alerts.parcel import Outcome, Parcel, Result
from hub.machines.models import Machine

# A Sunday.
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

SENT = Outcome(Result.SENT, "taken", 200)
FAILED = Outcome(Result.FAILED, "not taken", 503)


@dataclass
class Office:
    """A sender without a network: what it is given is kept, and may be refused."""

    now: datetime = NOON
    sent: list[Parcel] = field(default_factory=list)
    answer: Callable[[Parcel], Outcome] = lambda parcel: SENT

    def clock(self) -> datetime:
        return self.now

    def carry(self, parcel: Parcel) -> Outcome:
        outcome = self.answer(parcel)
        if outcome.ok:
            self.sent.append(parcel)
        return outcome

    def run(self, later: float = 0) -> list[Parcel]:
        """Deliver some seconds later; return what went out by then."""
        self.now += timedelta(seconds=later)
        before = len(self.sent)
        deliver(clock=self.clock, carry=self.carry)
        return self.sent[before:]

    def until(self, later: float, *, every: float = 30) -> list[Parcel]:
        """Deliver now, and again and again for so many seconds."""
        before = len(self.sent)
        ends = self.now + timedelta(seconds=later)
        self.run()
        while self.now < ends:
            self.run(every)
        return self.sent[before:]

    def open(
        self, machine: str = "db-1", *, severity: str = "warning", **said: Any
    ) -> Alert:
        alert = made(machine, severity, self.now, **said)
        with transaction.atomic():
            alert.save()
            enqueue(alert, "opened")
        return alert

    def open_many(self, count: int, **said: Any) -> None:
        with transaction.atomic():
            alerts = [
                made(f"db-{n:04}", "warning", self.now, **said) for n in range(count)
            ]
            Alert.objects.bulk_create(alerts)
            enqueue_many((alert, "opened") for alert in alerts)

    def resolve(self, alert: Alert) -> None:
        with transaction.atomic():
            alert.state, alert.resolved_at = Alert.Status.RESOLVED, self.now
            alert.save()
            enqueue(alert, "resolved")

    def worsen(self, alert: Alert) -> None:
        with transaction.atomic():
            alert.severity = alert.peak_severity = "critical"
            alert.save()
            enqueue(alert, "escalated")

    def acknowledge(self, alert: Alert) -> None:
        with transaction.atomic():
            alert.acknowledged_at = self.now
            alert.save()
            enqueue(alert, "acknowledged")


def made(machine: str, severity: str, at: datetime, **said: Any) -> Alert:
    rule, _ = Rule.objects.get_or_create(name=said.pop("rule", "Disk is nearly full"))
    watched, _ = Machine.objects.get_or_create(machine_id=machine)
    attributes = said.pop("attributes", {"mountpoint": "/data"})
    fields: dict[str, Any] = {
        "snapshot": {"name": rule.name, "unit": "1", "kind": "threshold"},
        "value": 0.931,
        "series_key": str(sorted(attributes.items()))[:32],
    }
    fields |= said
    return Alert(
        rule=rule,
        machine=watched,
        machine_title=watched.title,
        attributes=attributes,
        severity=severity,
        peak_severity=severity,
        opened_at=at,
        changed_at=at,
        **fields,
    )


def contact(name: str = "ops", **said: Any) -> Contact:
    made = Contact(name=name, **{"kind": "webhook", **said})
    made.reach(f"https://{name}.example/hook")
    made.save()
    return made


def route(name: str, *contacts: Contact, **said: Any) -> Route:
    to = said.pop("escalate_to", [])
    fields: dict[str, Any] = {"group_wait_s": 30, "remind_every_s": None}
    made = Route.objects.create(name=name, **fields | said)
    made.contacts.set(contacts)
    made.escalate_to.set(to)
    return made


def told(alert: Alert) -> list[tuple[str, str]]:
    """Return whom an alert was told to, and why, in order."""
    notices = Notice.objects.filter(alert=alert, delivery__state=Delivery.State.SENT)
    return [(one.contact.name, one.what) for one in notices.order_by("pk")]
