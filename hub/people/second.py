"""The second factor: codes of an app on somebody's phone, or once on paper."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from allauth.mfa.adapter import DefaultMFAAdapter, get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from hub.people import sealing

CODE_DIGITS = 6
LAST_COUNTER = "last_counter"


class Adapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """What the library stores is sealed."""

    def encrypt(self, text: str) -> str:
        return sealing.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return sealing.unseal(encrypted_text)


@dataclass(frozen=True, slots=True)
class Offer:
    """What somebody types or scans into their app."""

    secret: str
    # An SVG picture, as a data: address.
    picture: str


def is_on(user: User) -> bool:
    return bool(Authenticator.objects.filter(user=user, type=_TOTP).exists())


def new_secret() -> str:
    return str(totp.generate_totp_secret())


def offer(user: User, secret: str) -> Offer:
    adapter = get_adapter()
    svg: str = adapter.build_totp_svg(adapter.build_totp_url(user, secret))
    return Offer(secret, f"data:image/svg+xml,{quote(svg)}")


def turn_on(user: User, secret: str, code: str) -> list[str] | None:
    """Turn it on if the code fits; return the recovery codes, shown once."""
    counter = _counter(secret, code)
    if counter is None:
        return None
    with transaction.atomic():
        turn_off(user)
        made = totp.TOTP.activate(user, secret)
        made.instance.data[LAST_COUNTER] = counter
        made.instance.save()
        return new_recovery_codes(user)


def turn_off(user: User) -> None:
    Authenticator.objects.filter(user=user).delete()


def new_recovery_codes(user: User) -> list[str]:
    """Make new ones; the old ones are worth nothing any more."""
    Authenticator.objects.filter(user=user, type=_CODES).delete()
    return list(RecoveryCodes.activate(user).get_unused_codes())


def recovery_codes_left(user: User) -> int:
    found = Authenticator.objects.filter(user=user, type=_CODES).first()
    return len(RecoveryCodes(found).get_unused_codes()) if found else 0


def fits(user: User, code: str) -> bool:
    """Use a code up; whether it was right. Each works once."""
    code = "".join(code.split()).replace("-", "")
    if not (code.isascii() and code.isdigit()):
        return False
    if len(code) == CODE_DIGITS:
        return _totp_fits(user, code)
    found = Authenticator.objects.filter(user=user, type=_CODES).first()
    if found is None or not RecoveryCodes(found).validate_code(code):
        return False
    found.record_usage()
    return True


@transaction.atomic
def _totp_fits(user: User, code: str) -> bool:
    found = (
        Authenticator.objects.select_for_update().filter(user=user, type=_TOTP).first()
    )
    if found is None:
        return False
    counter = _counter(sealing.unseal(found.data["secret"]), code)
    # Whoever looked over a shoulder does not get in with the same code, nor with
    # one before it.
    if counter is None or counter <= found.data.get(LAST_COUNTER, 0):
        return False
    found.data[LAST_COUNTER] = counter
    found.last_used_at = timezone.now()
    found.save()
    return True


def _counter(secret: str, code: str) -> int | None:
    """Return the moment of which this is the code."""
    for counter in totp.yield_hotp_counters_from_time():
        expected = totp.format_hotp_value(totp.hotp_value(secret, counter))
        if totp.compare_user_code(actual=code, expected=expected):
            return int(counter)
    return None


_TOTP = Authenticator.Type.TOTP
_CODES = Authenticator.Type.RECOVERY_CODES
