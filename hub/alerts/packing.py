"""A delivery's rows become a parcel: rendered now, as things stand now."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict
from urllib.parse import urlsplit

import orjson
from django.conf import settings

from hub.alerts import culprit, message
from hub.alerts.message import Story
from hub.alerts.models import Alert, Contact, Delivery, Notice
from hub.alerts.parcel import Parcel, Task
from hub.alerts.spec import Operator
from hub.alerts.webhook import VERSION
from hub.people.signin import address

# Of each alert.
MAX_PROCESSES = 10

# A webhook's message stays below what receivers commonly take at most.
MAX_ALERTS = 500

PATH = "/alerts/"


class Unwanted(Exception):
    """It need not be sent any more; says why in a sentence."""


class Payload(TypedDict):
    """What a webhook gets; docs/notifications.md describes it."""

    version: int
    delivery: str
    sent_at: str
    hub: str
    contact: str
    test: bool
    alerts: list[dict[str, object]]
    more: int


def pack(delivery: Delivery, now: datetime) -> Parcel:
    """Return the message of a delivery. Raises Unwanted, secrets.Sealed."""
    contact = delivery.contact
    if not contact.enabled:
        raise Unwanted("The contact is switched off.")
    notices = (
        Notice.objects.filter(delivery=delivery)
        .select_related("alert__machine", "alert__acknowledged_by", "alert__culprit")
        .order_by("pk")
    )
    # Of one alert's notices the last one says how it stands.
    newest = {notice.alert_id: notice for notice in notices}
    if not newest:
        raise Unwanted("Its alerts were deleted.")
    stories = [_story(notice) for notice in newest.values()]
    hub = address(PATH)
    said = message.compose(stories, subject=contact.subject, hub=hub)
    payload = Payload(
        version=VERSION,
        delivery=str(delivery.key),
        sent_at=now.isoformat(),
        hub=hub,
        contact=contact.name,
        test=False,
        alerts=[_json(one) for one in list(newest.values())[:MAX_ALERTS]],
        more=max(0, len(newest) - MAX_ALERTS),
    )
    return parcel(contact, str(delivery.key), said, payload)


def pack_test(contact: Contact, key: str, now: datetime) -> Parcel:
    """Return a message that says that it is only a test. Raises secrets.Sealed."""
    title = "Test message from sysmonstm"
    body = f"This is how alerts reach “{contact.name}”. Nothing is wrong."
    said = message.note(title, body, hub=address(PATH))
    payload = Payload(
        version=VERSION,
        delivery=key,
        sent_at=now.isoformat(),
        hub=address(PATH),
        contact=contact.name,
        test=True,
        alerts=[],
        more=0,
    )
    return parcel(contact, key, said, payload)


def parcel(
    contact: Contact, key: str, said: message.Message, payload: Payload
) -> Parcel:
    return Parcel(
        kind=contact.kind,
        address=contact.address,
        key=key,
        secret=contact.secret,
        networks=tuple(settings.NOTIFY_ALLOW_PRIVATE),
        private=contact.may_reach_private,
        smtp_url=settings.SMTP_URL,
        sender=sender(),
        title=said.title,
        text=said.text,
        html=said.html,
        brief_html=said.brief_html,
        markdown=said.markdown,
        payload=orjson.dumps(payload).decode(),
    )


def pack_check(kind: str, to: str, *, private: bool) -> Parcel:
    """Return a parcel that only asks whether the address will do."""
    networks = tuple(settings.NOTIFY_ALLOW_PRIVATE)
    return Parcel(kind, to, task=Task.CHECK, networks=networks, private=private)


def sender() -> str:
    """Return whom mail comes from."""
    if settings.MAIL_FROM:
        return str(settings.MAIL_FROM)
    host = urlsplit(address("/")).hostname or "localhost"
    domain = host if host.replace(".", "").isalnum() and "." in host else "localhost"
    return f"sysmonstm <sysmonstm@{domain}>"


def _link(alert: Alert) -> str:
    return address(f"{PATH}{alert.pk}/")


def _story(notice: Notice) -> Story:
    alert = notice.alert
    return Story(
        alert=alert.pk,
        what=notice.what,
        over=not alert.is_open,
        severity=alert.peak_severity if not alert.is_open else alert.severity,
        machine=alert.machine.title if alert.machine else alert.machine_title,
        rule=alert.rule_name,
        kind=str(alert.snapshot.get("kind", "")),
        unit=alert.unit,
        attributes=tuple(sorted(alert.attributes.items())),
        value=alert.value if alert.last_value is None else alert.last_value,
        peak=alert.peak_value,
        opened_at=alert.opened_at,
        resolved_at=alert.resolved_at,
        link=_link(alert),
        note=str(alert.snapshot.get("note", "")),
        runbook=_web(str(alert.snapshot.get("runbook_url", ""))),
        acknowledged_by=(
            alert.acknowledged_by.get_username() if alert.acknowledged_by else ""
        ),
        culprits=tuple(culprit.lines(alert, most=3)),
        limit=_limit(alert),
    )


def _limit(alert: Alert) -> float | None:
    """Return the threshold of the alert's severity, where one can be crossed."""
    rule = alert.snapshot
    if rule.get("operator") in (Operator.EQ, Operator.NE):
        return None
    found = rule.get(alert.severity)
    return float(found) if isinstance(found, (int, float)) else None


def _web(url: str) -> str:
    """Return an address that a message may link to, or nothing."""
    harmless = url.startswith(("https://", "http://")) and not set(url) & set(
        ' "<>\n\r'
    )
    return url if harmless else ""


def _json(notice: Notice) -> dict[str, object]:
    alert = notice.alert
    machine = alert.machine
    return {
        "id": alert.pk,
        "reason": notice.what,
        "reminder": notice.number,
        "state": alert.state,
        "severity": alert.severity,
        "peak_severity": alert.peak_severity,
        "machine": {
            "id": machine.machine_id if machine else None,
            "title": alert.machine_title,
        },
        "rule": {
            "id": alert.rule_id,
            "name": alert.rule_name,
            "kind": alert.snapshot.get("kind"),
            "note": alert.snapshot.get("note", ""),
            "runbook_url": alert.snapshot.get("runbook_url", ""),
        },
        "metric": alert.metric,
        "attributes": alert.attributes,
        "unit": alert.unit,
        "value": alert.value,
        "last_value": alert.last_value,
        "peak_value": alert.peak_value,
        "peak_at": _moment(alert.peak_at),
        "opened_at": _moment(alert.opened_at),
        "resolved_at": _moment(alert.resolved_at),
        "resolved_why": alert.resolved_why,
        "acknowledged_at": _moment(alert.acknowledged_at),
        "acknowledged_by": (
            alert.acknowledged_by.get_username() if alert.acknowledged_by else None
        ),
        "processes": _processes(alert),
        "link": _link(alert),
    }


def _processes(alert: Alert) -> dict[str, object] | None:
    """Return which processes were behind it; None = not known."""
    found = culprit.record(alert)
    if found is None:
        return None
    return {
        "taken_at": _moment(found.taken_at),
        "span_s": found.span_ms / 1000,
        "ranked_by": found.ranked_by,
        "entries": found.entries[:MAX_PROCESSES],
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
