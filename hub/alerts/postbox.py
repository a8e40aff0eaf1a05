"""How telling people goes: what waits, what is stuck, what was given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min, Q, QuerySet
from django.utils import timezone

from hub.alerts.models import Attempt, Delivery, Happening

# The runner looks every five seconds, and a message takes 20 s at most.
STUCK = timedelta(minutes=2)
# Whoever has not cared for a dead message by then does not want it any more.
FORGET = timedelta(days=7)
RECENT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Post:
    waiting: int
    # Given up lately; they can be tried again.
    dead: int
    # Of the last hour's attempts.
    sent: int
    failed: int
    # Since when something is due that nobody has begun to send.
    stuck_since: datetime | None

    @property
    def trouble(self) -> str:
        """Say what people must know, without names or addresses; "" = all is well."""
        if self.stuck_since is not None:
            return (
                "Messages about alerts are not being sent: the worker, or the beat "
                "that wakes it, is away. They go out when it is back."
            )
        if self.dead:
            one = self.dead == 1
            return (
                f"{self.dead} message{'' if one else 's'} about alerts could not be "
                f"delivered for a day and {'was' if one else 'were'} given up."
            )
        return ""


def post(now: datetime | None = None) -> Post:
    """Count what there is; five small queries. Raises what they raise."""
    now = now or timezone.now()
    late, states = now - STUCK, Delivery.State
    unsent = Delivery.objects.filter(state__in=(states.WAITING, states.SENDING))
    stuck = unsent.filter(
        Q(state=states.WAITING, due_at__lt=late)
        | Q(state=states.SENDING, lease_until__lt=late)
    ).aggregate(since=Min("due_at"))["since"]
    # What was muted is looked at again; only what nobody has looked at is stuck.
    unplanned = Happening.objects.filter(state=Happening.State.WAITING, at__lt=late)
    unplanned_since = unplanned.aggregate(since=Min("at"))["since"]
    attempts = Attempt.objects.filter(started_at__gte=now - RECENT)
    results = list(attempts.values_list("result", flat=True))
    return Post(
        waiting=unsent.count(),
        dead=dead(now).count(),
        sent=results.count(Attempt.Result.SENT),
        failed=sum(
            one in (Attempt.Result.FAILED, Attempt.Result.LOST) for one in results
        ),
        stuck_since=min(
            (one for one in (stuck, unplanned_since) if one is not None), default=None
        ),
    )


def dead(now: datetime | None = None) -> QuerySet[Delivery]:
    """Return what was given up lately."""
    since = (now or timezone.now()) - FORGET
    return Delivery.objects.filter(state=Delivery.State.DEAD, created_at__gte=since)
