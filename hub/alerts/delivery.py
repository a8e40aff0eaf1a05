"""Messages that are due are sent: at least once, and no more often than needed.

    claim    a lease on the row, and an attempt in the ledger, in one transaction
    carry    outside of any transaction, by a process of its own (`courier`)
    settle   sent; or when to try again; or dead after a day

Who is killed between claiming and settling leaves a lease that ends. The message is
sent again then, under the same key: nobody can know whether it had arrived.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from hub import metrics
from hub.alerts.courier import DEADLINE_S, carry
from hub.alerts.models import Attempt, Delivery, Notice
from hub.alerts.packing import Unwanted, pack
from hub.alerts.parcel import Outcome, Parcel, Result
from hub.alerts.planning import BATCH, plan
from hub.alerts.routing import GIVE_UP_AFTER, next_try
from hub.alerts.secrets import Sealed
from hub.log import get_logger

# Longer than a courier can take, with room for a busy machine.
LEASE = timedelta(seconds=DEADLINE_S + 10)

# At once; a contact that answers slowly holds up only its own.
PARALLEL = 4

# A run ends after this, well within the task's limit; the next one goes on.
RUN_S = 60.0

# Of whoever is told without a route: as a route's own default.
DEFAULT_REMINDER_S = 4 * 3600

UNSENT = (Delivery.State.SENDING, Delivery.State.WAITING)

log = get_logger(__name__)

Carry = Callable[[Parcel], Outcome]
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is ours until its lease ends."""

    delivery: int
    holder: uuid.UUID
    attempt: int
    number: int
    tried_since: datetime


def deliver(
    *, clock: Clock = timezone.now, carry: Carry = carry, run_s: float = RUN_S
) -> int:
    """Plan and send what is due; return how many messages went out."""
    ends = time.monotonic() + run_s
    while time.monotonic() < ends and plan(clock()) >= BATCH:
        continue
    sent = 0
    while time.monotonic() < ends and (claims := claim(clock(), limit=PARALLEL)):
        sent += _send(claims, clock, carry)
    return sent


def claim(now: datetime, *, limit: int) -> list[Claim]:
    """Take up to `limit` deliveries that are due, or whose sender is gone."""
    # A look without a lock: most of the time there is nothing.
    if not _due(now).exists():
        return []
    with transaction.atomic():
        rows = _due(now)
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        found = [_take(delivery, now) for delivery in rows[:limit]]
    return [one for one in found if one is not None]


def _due(now: datetime) -> QuerySet[Delivery]:
    states = Delivery.State
    return Delivery.objects.filter(
        Q(state=states.WAITING, due_at__lte=now)
        | Q(state=states.SENDING, lease_until__lte=now)
    ).order_by("due_at", "pk")


def _take(delivery: Delivery, now: datetime) -> Claim | None:
    since = delivery.tried_since or now
    lost = delivery.attempts.filter(result=Attempt.Result.RUNNING)
    lost.update(
        result=Attempt.Result.LOST,
        ended_at=now,
        said="The process that sent it ended before it could say how it went.",
    )
    holder, number = uuid.uuid4(), delivery.attempts_made + 1
    # Where rows are not locked, this condition lets one of two have it.
    taken = Delivery.objects.filter(
        pk=delivery.pk, attempts_made=delivery.attempts_made, state=delivery.state
    ).update(
        state=Delivery.State.SENDING,
        holder=holder,
        lease_until=now + LEASE,
        attempts_made=number,
        tried_since=since,
    )
    if not taken:
        return None
    attempt = Attempt.objects.create(delivery=delivery, number=number, started_at=now)
    return Claim(delivery.pk, holder, attempt.pk, number, since)


def _send(claims: list[Claim], clock: Clock, carry: Carry) -> int:
    """Send all at the same time; the database is touched by this thread alone."""
    sent = 0
    with ThreadPoolExecutor(PARALLEL, "courier") as couriers:
        waiting = {}
        for one in claims:
            try:
                waiting[couriers.submit(carry, _packed(one, clock()))] = one
            except Sealed as error:
                settle(one, Outcome(Result.REFUSED, str(error)), clock())
            except Unwanted as error:
                _drop(one, str(error), clock())
        for done in as_completed(waiting):
            outcome = done.result()
            settle(waiting[done], outcome, clock())
            sent += outcome.ok
    return sent


def _packed(claim: Claim, now: datetime) -> Parcel:
    return pack(Delivery.objects.select_related("contact").get(pk=claim.delivery), now)


def _drop(claim: Claim, why: str, now: datetime) -> None:
    with transaction.atomic():
        Attempt.objects.filter(pk=claim.attempt).update(
            result=Attempt.Result.REFUSED, ended_at=now, said=why
        )
        Delivery.objects.filter(pk=claim.delivery, holder=claim.holder).update(
            state=Delivery.State.DROPPED, holder=None
        )
    log.info("delivery.dropped", delivery=claim.delivery, why=why)


def settle(claim: Claim, outcome: Outcome, now: datetime) -> None:
    """Write down what came of an attempt, and what comes next."""
    again = None if outcome.ok else next_try(claim.number, claim.tried_since, now)
    with transaction.atomic():
        Attempt.objects.filter(pk=claim.attempt).update(
            result=outcome.result.value,
            ended_at=now,
            status=outcome.status,
            said=outcome.said[:500],
            next_try_at=again,
        )
        rows = Delivery.objects.filter(pk=claim.delivery)
        if outcome.ok:
            # Sent is sent, even when the lease had ended: a third helps nobody.
            rows.filter(state__in=UNSENT).update(
                state=Delivery.State.SENT, sent_at=now, holder=None
            )
        elif again is not None:
            rows.filter(holder=claim.holder, state=Delivery.State.SENDING).update(
                state=Delivery.State.WAITING, due_at=again, holder=None
            )
        else:
            rows.filter(holder=claim.holder).update(
                state=Delivery.State.DEAD, holder=None
            )
        if again is None:
            _remind_later(claim.delivery, now)
    fields = {"delivery": claim.delivery, "attempt": claim.number, "said": outcome.said}
    if outcome.ok:
        metrics.DELIVERIES.labels("sent").inc()
        log.info("delivery.sent", **fields)
    elif again is not None:
        metrics.DELIVERIES.labels("failed").inc()
        log.warning("delivery.failed", **fields)
    else:
        metrics.DELIVERIES.labels("dead").inc()
        days = GIVE_UP_AFTER.days
        log.error("delivery.dead", **fields, tried_for_days=days)


def _remind_later(delivery: int, now: datetime) -> None:
    """Note when to look whether somebody has acknowledged.

    Also when the message is dead: the contact may be well again by then.
    """
    notices = Notice.objects.filter(delivery=delivery).select_related("route")
    found = list(notices.exclude(what=Notice.What.RESOLVED))
    for notice in found:
        every = notice.route.remind_every_s if notice.route else DEFAULT_REMINDER_S
        notice.remind_at = now + timedelta(seconds=every) if every else None
    Notice.objects.bulk_update(found, ["remind_at"])


def revive(chosen: QuerySet[Delivery]) -> int:
    """Give dead deliveries another day; return how many there were."""
    return chosen.filter(state=Delivery.State.DEAD).update(
        state=Delivery.State.WAITING, due_at=timezone.now(), tried_since=None
    )
