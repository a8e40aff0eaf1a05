"""Who the machines are, and who may look at them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from hub.machines import clones, newcomers
from hub.machines.models import Credential, Machine
from hub.machines.sight import limits_of, within

# The machine and the user of the hub's own test samples (`hub.health.prober`).
CANARY = "_canary"


@dataclass(frozen=True, slots=True)
class Arrival:
    """What an agent says of its machine when it connects."""

    machine_id: str
    agent_version: str
    os: str
    kernel: str
    architecture: str
    # Unix milliseconds; 0 = unknown.
    boot_time_ms: int
    interval_s: float


class NotIts(Exception):
    """Whoever calls may not speak for this machine; the text is a sentence."""


def arrive(
    hello: Arrival,
    *,
    credential: int = 0,
    epoch: bytes = b"",
    shared_from: str | None = None,
) -> tuple[Machine, bool]:
    """Note that a machine said hello; tell whether it is new.

    `credential` is the one that the agent has proved, 0 where it has none of its
    own. `shared_from` is where it calls from with the shared token, None where it
    has something else. Raises NotIts, TooManyNew.
    """
    now = timezone.now()
    if credential:
        _check(credential, epoch, hello, now)
    elif not _is_known_unproved(hello.machine_id) and shared_from is not None:
        newcomers.admit(shared_from)
    facts = {
        "agent_version": hello.agent_version,
        "os": hello.os,
        "kernel": hello.kernel,
        "architecture": hello.architecture,
        "boot_time": _boot_time(hello.boot_time_ms),
        "interval_s": hello.interval_s,
        "last_hello": now,
        "left_at": None,
    }
    return Machine.objects.update_or_create(
        machine_id=hello.machine_id,
        defaults=facts,
        create_defaults={**facts, "first_seen": now},
    )


def spoken_for(machine_id: str, credential: int) -> Machine | None:
    """Return the machine that a caller speaks for; None = it has not said hello yet.

    `credential` as in `arrive`. Raises NotIts.
    """
    if "\0" in machine_id:
        # PostgreSQL knows no such text.
        return None
    if not credential:
        _is_known_unproved(machine_id)
    return Machine.objects.filter(machine_id=machine_id).first()


def _is_known_unproved(machine_id: str) -> bool:
    """Tell whether there is such a machine; raises NotIts if it has a credential."""
    # Not even a revoked one: who is cut must not come back by another door.
    own = Credential.objects.filter(machine=OuterRef("pk"))
    found = Machine.objects.filter(machine_id=machine_id).values_list(Exists(own))
    if (True,) in (known := list(found)):
        raise NotIts("This machine has a credential of its own; speak with that.")
    return bool(known)


def _check(credential: int, epoch: bytes, hello: Arrival, now: datetime) -> None:
    try:
        known = clones.see(credential, epoch, hello.boot_time_ms, now=now)
    except clones.Cloned:
        raise NotIts(
            "Another agent uses this credential: a copy of a machine must be enrolled "
            "by itself."
        ) from None
    if not known:
        raise NotIts("The credential was revoked.")


def leave(pk: int, at: datetime) -> Machine | None:
    """Note that an agent said it is stopping: its silence is meant.

    None: it has come back since, or the machine is gone.
    """
    here = Machine.objects.filter(pk=pk).exclude(last_hello__gt=at)
    return here.first() if here.update(left_at=at) else None


def visible_to(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Machine]:
    """Return the machines that somebody may see.

    The one place that decides: pages, JSON and sockets all ask here.
    """
    if not (user.is_authenticated and user.is_active):
        return Machine.objects.none()
    if user.get_username() == CANARY:
        return Machine.objects.filter(machine_id=CANARY)
    return Machine.objects.exclude(machine_id=CANARY).filter(within(user))


def is_limited(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether there may be machines, now or once, that somebody does not see."""
    if not isinstance(user, User) or user.username == CANARY:
        return True
    return limits_of(user).exists()


def past_for(user: AbstractBaseUser | AnonymousUser) -> Q:
    """Return the condition under which somebody sees what deleted machines left.

    Nobody knows any more what tags those had: whoever is limited sees none of it.
    """
    if not isinstance(user, User) or not user.is_active or user.username == CANARY:
        return Q(pk__in=())
    return Q(~Exists(limits_of(user)))


def _boot_time(ms: int) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms > 0 else None
