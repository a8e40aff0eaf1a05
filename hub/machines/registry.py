"""Who the machines are, and who may look at them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet
from django.utils import timezone

from hub.machines.models import Machine

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


def arrive(hello: Arrival) -> tuple[Machine, bool]:
    """Note that a machine said hello; tell whether it is new."""
    now = timezone.now()
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


def leave(pk: int) -> None:
    """Note that an agent said it is stopping: its silence is meant."""
    Machine.objects.filter(pk=pk).update(left_at=timezone.now())


def visible_to(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Machine]:
    """Return the machines that somebody may see.

    The one place that decides: pages, JSON and sockets all ask here.
    """
    if not (user.is_authenticated and user.is_active):
        return Machine.objects.none()
    if user.get_username() == CANARY:
        return Machine.objects.filter(machine_id=CANARY)
    return Machine.objects.exclude(machine_id=CANARY)


def _boot_time(ms: int) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms > 0 else None
