"""What an agent proves itself with: found, replaced, revoked. Never readable.

The agent makes its secret; the hub keeps the digest. While a rotation settles, the
secret before goes on for OVERLAP, and then never again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Count, Max, Q, QuerySet, Sum
from django.utils import timezone

from hub.machines import told
from hub.machines.models import Credential, EnrolmentToken, Machine
from hub.people import audit, secrets

PREFIX = "sma_"
# 32 random bytes as URL-safe base64.
_FORM = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")

OVERLAP = timedelta(minutes=10)

# "Last used" says on which day; it needs no write for each stream.
TOUCH_EVERY = timedelta(hours=1)

# Databases take so many parameters in one question.
AT_ONCE = 500


class NotTaken(Exception):
    """A secret that cannot be anybody's next one; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a secret speaks for."""

    credential: int
    machine: int
    machine_id: str
    # A secret that was replaced ends then; None = it is the present one.
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        return self.until is None or now < self.until


# What changes with every enrolment, rotation, revocation and deletion.
Tide = tuple[int, int, int, int]


def well_formed(secret: str) -> bool:
    """Tell whether a text can be an agent's secret."""
    return _FORM.fullmatch(secret) is not None


def find(secret: str, *, now: datetime | None = None) -> Credential | None:
    """Return the credential that a secret belongs to, if it still opens anything."""
    holder = holders([secrets.digest(secret)], now=now).get(secrets.digest(secret))
    if holder is None:
        return None
    return Credential.objects.select_related("machine").get(pk=holder.credential)


def holders(
    digests: Collection[str], *, now: datetime | None = None
) -> dict[str, Holder]:
    """Return whom each of some digests speaks for; what opens nothing is absent.

    One question for all of them: a thousand agents may come at once.
    """
    now = now or timezone.now()
    wanted = list(digests)
    found: dict[str, Holder] = {}
    for at in range(0, len(wanted), AT_ONCE):
        part = wanted[at : at + AT_ONCE]
        known = Credential.objects.filter(
            Q(digest__in=part) | Q(previous_digest__in=part), revoked_at=None
        )
        for one in _rows(known):
            found.update(_opened(one, set(part), now))
    return found


def still(ids: Iterable[int], *, now: datetime | None = None) -> dict[str, Holder]:
    """Return what still opens something, by digest, of some credentials."""
    now = now or timezone.now()
    wanted = sorted(set(ids))
    found: dict[str, Holder] = {}
    for at in range(0, len(wanted), AT_ONCE):
        known = Credential.objects.filter(
            pk__in=wanted[at : at + AT_ONCE], revoked_at=None
        )
        for one in _rows(known):
            both = {one.digest, one.previous_digest} - {""}
            found.update(_opened(one, both, now))
    return found


def tide() -> Tide:
    """Return numbers of which one moves whenever any credential changes."""
    numbers = Credential.objects.aggregate(
        all=Count("pk"),
        gone=Count("revoked_at"),
        last=Max("pk"),
        turns=Sum("rotations"),
    )
    return (
        numbers["all"],
        numbers["gone"],
        numbers["last"] or 0,
        numbers["turns"] or 0,
    )


def touch(ids: Collection[int], *, now: datetime | None = None) -> None:
    """Note that some credentials were used."""
    now = now or timezone.now()
    due = now - TOUCH_EVERY
    Credential.objects.filter(
        Q(last_used_at=None) | Q(last_used_at__lte=due), pk__in=ids
    ).update(last_used_at=now)


def rotate(
    credential: int,
    new_secret: str,
    *,
    by: str = "",
    now: datetime | None = None,
) -> datetime:
    """Replace a credential's secret; return when the one before ends.

    The same new secret again gets the same answer. `by` is the secret that the caller
    speaks with: the one before may repeat a rotation whose answer was lost, not begin
    another one, and nothing lengthens its time. Raises NotTaken.
    """
    now = now or timezone.now()
    if not well_formed(new_secret):
        raise NotTaken("That is not a secret of an agent.")
    wanted = secrets.digest(new_secret)
    try:
        with transaction.atomic():
            return _rotate(credential, wanted, now, by=by and secrets.digest(by))
    except IntegrityError:
        raise NotTaken("That secret cannot be taken; make another one.") from None


def _rotate(pk: int, wanted: str, now: datetime, *, by: str) -> datetime:
    one = (
        Credential.objects.select_for_update(of=("self",))
        .select_related("machine")
        .filter(pk=pk, revoked_at=None)
        .first()
    )
    if one is None:
        raise NotTaken("The credential is missing or wrong.")
    if one.digest == wanted:
        return one.previous_until or now
    taken = Q(digest=wanted) | Q(previous_digest=wanted)
    # Looked at under the lock: what the door knew may be a moment old.
    if by not in ("", one.digest) or Credential.objects.filter(taken).exists():
        raise NotTaken("That secret cannot be taken; make another one.")
    one.previous_digest, one.digest = one.digest, wanted
    one.previous_until, one.rotated_at = now + OVERLAP, now
    one.rotations += 1
    one.save(
        update_fields=(
            *("digest", "previous_digest", "previous_until"),
            *("rotated_at", "rotations"),
        )
    )
    audit.record(None, "credential.rotated", one.machine.machine_id)
    told.credentials_changed(one.machine_id)
    return one.previous_until


def revoke(machine: int, by: User | None, *, address: str = "") -> None:
    """Make every credential of a machine useless, and what could make a new one."""
    with transaction.atomic():
        known = Machine.objects.select_for_update().filter(pk=machine).first()
        if known is None:
            return
        now = timezone.now()
        ended = end_all(known, now)
        EnrolmentToken.objects.filter(machine=known, revoked_at=None).update(
            revoked_at=now
        )
        audit.record(
            by, "credential.revoked", known.machine_id, address=address, ended=ended
        )
        told.credentials_changed(machine)


def end_all(machine: Machine, now: datetime) -> int:
    """Revoke a machine's credentials; return how many."""
    return machine.credentials.filter(revoked_at=None).update(revoked_at=now)


def newest(machine: int) -> Credential | None:
    """Return a machine's newest credential, revoked or not; None = it never had one."""
    return (
        Credential.objects.filter(machine=machine)
        .order_by("-created_at", "-pk")
        .first()
    )


def _rows(known: QuerySet[Credential]) -> QuerySet[Credential]:
    return known.select_related("machine").only(
        "digest", "previous_digest", "previous_until", "machine__machine_id"
    )


def _opened(one: Credential, asked: set[str], now: datetime) -> dict[str, Holder]:
    """Return which of the digests that were asked about this credential opens to."""
    found: dict[str, Holder] = {}
    who = (one.pk, one.machine_id, one.machine.machine_id)
    if one.previous_digest in asked and one.previous_until:
        before = Holder(*who, one.previous_until)
        if before.holds(now):
            found[one.previous_digest] = before
    if one.digest in asked:
        found[one.digest] = Holder(*who)
    return found
