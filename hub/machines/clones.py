"""Two agents with one credential: a copied disk, or a thief.

An agent whose spool was lost or whose machine was started again says Hello with
something new, and what it was before never returns. When it does return, more than
once, two agents take turns: the credential is flagged, and the one that was seen
first is kept; who came later is refused until a person has decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from hub.log import get_logger
from hub.machines.models import Credential
from hub.people import audit

log = get_logger(__name__)

# What was longer ago says nothing about now: a spool may be put back by hand.
WITHIN_S = 3600.0
# So often may what was there before return; an agent that was moved there and back
# returns once.
RETURNS = 1

# The kernel's own figure moves when the clock is set right.
BOOT_SLACK_S = 120.0

# Changes of spool or boot that are remembered, and clones that are refused.
REMEMBERED = 8

# How often "last seen" is written while a clone keeps trying.
TOUCH_S = 300.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """What an agent shows of itself that a copy of its credential does not have."""

    epoch: str
    # Unix seconds; 0 = unknown.
    booted_s: float
    at_s: float = 0.0

    def is_same(self, other: Sighting) -> bool:
        if self.epoch != other.epoch:
            return False
        if not (self.booted_s and other.booted_s):
            return True
        return abs(self.booted_s - other.booted_s) <= BOOT_SLACK_S


class Cloned(Exception):
    """This agent is not the one that the credential was seen with first."""


@dataclass(frozen=True, slots=True)
class Judgement:
    sightings: tuple[Sighting, ...]
    refused: tuple[Sighting, ...]
    is_clone: bool = False
    # A clone was seen that was not known before.
    is_new: bool = False


def judge(before: Judgement, now: Sighting) -> Judgement:
    """Add a Hello to what was seen before."""
    before = replace(before, is_clone=False, is_new=False)
    if any(one.is_same(now) for one in before.refused):
        return replace(before, is_clone=True)
    seen = before.sightings
    if seen and seen[-1].is_same(now):
        return before
    seen = (*seen, now)[-REMEMBERED:]
    recent = _recent(seen, now.at_s)
    kinds = _kinds(recent)
    if len(recent) - len(kinds) <= RETURNS:
        return replace(before, sightings=seen)
    kept, *others = kinds
    refused = (*before.refused, *others)[-REMEMBERED:]
    return Judgement((kept,), refused, not kept.is_same(now), is_new=True)


def see(credential: int, epoch: bytes, boot_time_ms: int, *, now: datetime) -> bool:
    """Note a Hello; False: the credential is revoked or gone.

    Raises Cloned when another agent of this credential is kept.
    """
    hello = Sighting(epoch.hex(), boot_time_ms / 1000, now.timestamp())
    row = _read(credential)
    if row is None:
        return False
    before = _before(row)
    # Almost always: it is who it was, and nothing is written.
    if judge(before, hello) == before:
        return True
    with transaction.atomic():
        row = Credential.objects.select_for_update().filter(pk=credential).first()
        if row is None:
            return False
        found = judge(_before(row), hello)
        _keep(row, found, now)
    if found.is_clone:
        raise Cloned
    return True


def forget(credential: int, by: User | None, *, address: str = "") -> None:
    """Trust whoever comes next: a person has seen to it."""
    with transaction.atomic():
        known = Credential.objects.filter(pk=credential).select_related("machine")
        if (one := known.first()) is None:
            return
        known.update(clone_seen_at=None, sightings=[], refused=[])
        name = one.machine.machine_id
        audit.record(by, "credential.trusted", name, address=address)


def _read(pk: int) -> Credential | None:
    return (
        Credential.objects.only("sightings", "refused")
        .filter(pk=pk, revoked_at=None)
        .first()
    )


def _keep(row: Credential, found: Judgement, now: datetime) -> None:
    seen_at = row.clone_seen_at
    flags = found.is_new or found.is_clone
    if flags and (not seen_at or (now - seen_at).total_seconds() > TOUCH_S):
        row.clone_seen_at = now
    if found.is_new:
        name = row.machine.machine_id
        log.error("credential.cloned", machine=name, credential=row.pk)
        audit.record(None, "credential.cloned", name, credential=row.pk)
    row.sightings = _written(found.sightings)
    row.refused = _written(found.refused)
    row.save(update_fields=("sightings", "refused", "clone_seen_at"))


def _before(row: Credential) -> Judgement:
    return Judgement(_readable(row.sightings), _readable(row.refused))


def _written(sightings: Sequence[Sighting]) -> list[list[Any]]:
    return [[one.epoch, one.booted_s, one.at_s] for one in sightings]


def _readable(kept: list[list[Any]]) -> tuple[Sighting, ...]:
    return tuple(Sighting(*one) for one in kept)


def _recent(sightings: Sequence[Sighting], now_s: float) -> Sequence[Sighting]:
    """Return those of the last hour, and the one that was there when it began."""
    older = sum(now_s - one.at_s > WITHIN_S for one in sightings)
    return sightings[max(0, older - 1) :]


def _kinds(sightings: Sequence[Sighting]) -> list[Sighting]:
    """Return each agent once, in the order they were first seen."""
    found: list[Sighting] = []
    for one in sightings:
        if not any(one.is_same(other) for other in found):
            found.append(one)
    return found
