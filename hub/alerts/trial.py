"""Does a contact work? Say what truly happened."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime

from django.utils import timezone

from hub.alerts.courier import carry
from hub.alerts.models import Contact
from hub.alerts.packing import pack_check, pack_test
from hub.alerts.parcel import Outcome, Parcel, Result
from hub.alerts.secrets import Sealed

Carry = Callable[[Parcel], Outcome]


def check(kind: str, address: str, *, private: bool, carry: Carry = carry) -> Outcome:
    """Say whether an address can be understood and may be reached; sends nothing."""
    if kind == Contact.Kind.EMAIL:
        return Outcome(Result.SENT, "")
    return carry(pack_check(kind, address, private=private))


def try_out(
    contact: Contact, *, now: datetime | None = None, carry: Carry = carry
) -> Outcome:
    """Send a test message now, and keep what came of it with the contact."""
    now = now or timezone.now()
    try:
        outcome = carry(pack_test(contact, str(uuid.uuid4()), now))
    except Sealed as error:
        outcome = Outcome(Result.REFUSED, str(error))
    contact.tested_at = now
    contact.test_said = outcome.said[:500]
    contact.save(update_fields=["tested_at", "test_said"])
    return outcome
