"""Enrolment: a token that somebody was given becomes an agent's own credential.

Of a thousand agents with a token for one, one gets in: the token's row is locked.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from hub.machines import credentials, told
from hub.machines.models import Credential, EnrolmentToken, Machine, Tag
from hub.machines.registry import CANARY
from hub.people import audit, secrets

PREFIX = "sme_"

LIFETIME = timedelta(hours=1)
LONGEST_LIFETIME = timedelta(days=30)
MAX_USES = 1_000

MAX_ID_BYTES = 128

# The same words for each kind of wrong token: they tell an attacker nothing.
REFUSED = "The enrolment token is wrong, used up or expired."


class Refused(Exception):
    """No agent is made of this (permanent)."""

    def __init__(self) -> None:
        super().__init__(REFUSED)


class BadToken(ValueError):
    """A token that makes no sense; the text is a sentence."""


class Enrolled(NamedTuple):
    machine: Machine
    credential: Credential


def make_token(
    made_by: User | None,
    *,
    name: str = "",
    tags: Iterable[Tag] = (),
    machine: Machine | None = None,
    uses: int = 1,
    lifetime: timedelta = LIFETIME,
    address: str = "",
) -> tuple[str, EnrolmentToken]:
    """Return a new token's secret, which cannot be shown again, and the token.

    With a machine it enrols exactly that one anew. Raises BadToken.
    """
    if not 1 <= uses <= MAX_USES:
        raise BadToken(f"A token is for 1 to {MAX_USES} machines.")
    if machine is not None and uses != 1:
        raise BadToken("A token that enrols a machine anew is for one use.")
    if not timedelta() < lifetime <= LONGEST_LIFETIME:
        raise BadToken(f"A token lives for at most {LONGEST_LIFETIME.days} days.")
    secret = secrets.make(PREFIX)
    with transaction.atomic():
        token = EnrolmentToken.objects.create(
            digest=secrets.digest(secret),
            name=name[:100],
            machine=machine,
            uses_left=uses,
            expires_at=timezone.now() + lifetime,
            made_by=made_by,
        )
        token.tags.set(tags)
        subject = machine.machine_id if machine else str(token)
        audit.record(
            made_by,
            "enrolment.token_made",
            subject,
            address=address,
            token=token.pk,
            uses=uses,
        )
    return secret, token


def revoke_token(token: int, by: User | None, *, address: str = "") -> bool:
    """Make a token useless; False: it was so already, or there is none."""
    with transaction.atomic():
        now = timezone.now()
        ended = EnrolmentToken.objects.filter(
            pk=token, revoked_at=None, uses_left__gt=0, expires_at__gt=now
        ).update(revoked_at=now)
        if ended:
            audit.record(by, "enrolment.token_revoked", address=address, token=token)
    return bool(ended)


def enrol(
    token: str,
    machine_id: str,
    secret: str,
    *,
    address: str = "",
    now: datetime | None = None,
) -> Enrolled:
    """Make an agent of a token; raises Refused, always in the same words.

    `machine_id` is checked by the caller. The same token with the same secret gets
    the same answer again for as long as that credential lives, used up or not: an
    answer may be lost.
    """
    now = now or timezone.now()
    # Asked whatever was sent, so that the time says nothing either.
    known = EnrolmentToken.objects.filter(digest=secrets.digest(token)).first()
    if known is None or not credentials.well_formed(secret):
        raise Refused
    if not secrets.matches(token, known.digest):
        raise Refused
    try:
        with transaction.atomic():
            return _enrol(known.pk, machine_id, secret, address, now)
    except IntegrityError:
        # Another token brought the same secret at the same moment.
        raise Refused from None


def _enrol(
    token_pk: int, machine_id: str, secret: str, address: str, now: datetime
) -> Enrolled:
    token = EnrolmentToken.objects.select_for_update().filter(pk=token_pk).first()
    if token is None:
        raise Refused
    digest = secrets.digest(secret)
    again = (
        Credential.objects.select_related("machine")
        .filter(digest=digest, token=token, revoked_at=None)
        .first()
    )
    if again is not None:
        return Enrolled(again.machine, again)
    if not token.opens(now):
        raise Refused
    machine = _machine(token, machine_id, now)
    token.uses_left -= 1
    token.save(update_fields=("uses_left",))
    made = Credential.objects.create(
        machine=machine, digest=digest, token=token, created_at=now
    )
    audit.record(
        token.made_by,
        "enrolment.done",
        machine.machine_id,
        address=address,
        token=token.pk,
        named=machine_id,
    )
    told.credentials_changed(machine.pk)
    return Enrolled(machine, made)


def _machine(token: EnrolmentToken, machine_id: str, now: datetime) -> Machine:
    if token.machine is not None:
        # It comes with a new secret, so the one before is in other hands or gone.
        machine = Machine.objects.select_for_update().get(pk=token.machine.pk)
        credentials.end_all(machine, now)
        return machine
    machine = _new(machine_id)
    machine.tags.set(token.tags.all())
    told.machine_came(machine.pk, machine.machine_id)
    return machine


def _new(machine_id: str) -> Machine:
    """Make a machine of that name, or of the first free one after it."""
    for number in count(1):
        wanted = _numbered(machine_id, number)
        # Taken even before the hub's own test samples have come.
        if wanted == CANARY or Machine.objects.filter(machine_id=wanted).exists():
            continue
        try:
            with transaction.atomic():
                return Machine.objects.create(machine_id=wanted)
        except IntegrityError:
            # Taken at this moment; the next name may be free.
            continue
    raise AssertionError("count() ends never")


def _numbered(machine_id: str, number: int) -> str:
    if number == 1:
        return machine_id
    suffix = f"-{number}"
    room = MAX_ID_BYTES - len(suffix)
    return machine_id.encode()[:room].decode(errors="ignore") + suffix
