"""The way in: how often one may try, what is asked beside a password, who came.

    password, provider ─→ arrive ─→ in
                             └─→ half in: a code, or a second factor to set up ─→ in
    link of the hub's console ─→ in

A link asks for no second factor: whoever made it has the hub's own terminal, and it is
how somebody gets in who lost their phone.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme

from hub.log import get_logger
from hub.people import address, audit, sealing, second, throttle
from hub.people.roles import may_administer

log = get_logger(__name__)

# Whoever guesses at one account from one place; from one place at all; at one account
# from everywhere. Each limit within its seconds.
ACCOUNT_AND_ADDRESS = (10, 300.0)
ADDRESS = (50, 300.0)
ACCOUNT = (200, 3600.0)
CODES = (10, 600.0)

# How long somebody may look for their phone.
HALF_IN_S = 600.0

BACKEND = "django.contrib.auth.backends.ModelBackend"
HALF_IN = "half_in"
SIGNED_IN = "signed_in"

MAX_BROWSER_CHARACTERS = 200


class How(StrEnum):
    PASSWORD = "password"
    PROVIDER = "provider"
    LINK = "link"


class Next(StrEnum):
    """What comes after who somebody is was shown."""

    IN = "in"
    CODE = "code"
    SET_UP = "set up"


@dataclass(frozen=True, slots=True)
class HalfIn:
    """Somebody who gave a password, and not yet the second factor."""

    user: User
    how: How
    next: str
    # Of a second factor that is being set up; "" = there is one.
    secret: str = field(default="", repr=False)


def may_try(request: HttpRequest, name: str) -> bool:
    """Count a try at an account; the answer is the same whether it exists."""
    place, account = address.of(request), name.casefold()
    answered = all(
        [
            _hit("sign-in", f"{account}\n{place}", ACCOUNT_AND_ADDRESS),
            _hit("sign-in.address", place, ADDRESS),
            _hit("sign-in.account", account, ACCOUNT),
        ]
    )
    if not answered:
        # Not one line of the audit log for each: somebody could fill it.
        log.warning("sign_in.throttled", address=place)
    return answered


def may_try_code(user: User) -> bool:
    return _hit("sign-in.code", str(user.pk), CODES)


def arrive(request: HttpRequest, user: User, how: How, next_url: str) -> Next:
    """Let somebody in whose password was right, or ask for more."""
    if how is not How.LINK:
        if second.is_on(user):
            _halt(request, user, how, next_url)
            return Next.CODE
        if settings.REQUIRE_ADMIN_2FA and may_administer(user):
            _halt(request, user, how, next_url, secret=second.new_secret())
            return Next.SET_UP
    enter(request, user, how)
    return Next.IN


def enter(request: HttpRequest, user: User, how: How, **more: audit.Value) -> None:
    """Sign somebody in, and write it down."""
    request.session.pop(HALF_IN, None)
    login(request, user, backend=BACKEND)
    note = _Note(
        at=time.time(),
        address=address.of(request),
        browser=request.headers.get("User-Agent", "")[:MAX_BROWSER_CHARACTERS],
        how=how.value,
    )
    request.session[SIGNED_IN] = asdict(note)
    audit.of(request, "sign_in", user.get_username(), how=how.value, **more)


def way(request: HttpRequest, arrived: Next, next_url: str) -> str:
    """Return the address where somebody goes who arrived so far."""
    if arrived is not Next.IN:
        return reverse(_PAGES[arrived])
    safe = url_has_allowed_host_and_scheme(
        next_url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return next_url if safe else reverse(settings.LOGIN_REDIRECT_URL)


_PAGES = {Next.CODE: "web:sign_in_code", Next.SET_UP: "web:sign_in_set_up"}


def failed(request: HttpRequest, name: str, why: str, **more: audit.Value) -> None:
    """Write down that somebody did not get in.

    A name that nobody has is left out: people type their password there.
    """
    known = User.objects.filter(username=name[:150].replace("\0", "")).exists()
    audit.of(request, "sign_in.failed", name if known else "", why=why, **more)


def half_in(request: HttpRequest) -> HalfIn | None:
    """Return who is half in, while that lasts and their password stays the same."""
    kept: dict[str, Any] | None = request.session.get(HALF_IN)
    if kept is None or not 0 <= time.time() - kept["at"] <= HALF_IN_S:
        return None
    user = User.objects.filter(pk=kept["user"], is_active=True).first()
    if user is None or not constant_time_compare(
        kept["hash"], user.get_session_auth_hash()
    ):
        return None
    secret = kept["secret"] and sealing.unseal(kept["secret"])
    return HalfIn(user, How(kept["how"]), kept["next"], secret)


def how_in(request: HttpRequest) -> str:
    """Return how the person of this session came in; "" = nobody knows."""
    return str(request.session.get(SIGNED_IN, {}).get("how", ""))


@dataclass(frozen=True, slots=True)
class _Note:
    """What a session keeps of its beginning, for the list of one's sessions."""

    at: float
    address: str
    browser: str
    how: str


def _halt(
    request: HttpRequest, user: User, how: How, next_url: str, *, secret: str = ""
) -> None:
    # Nobody may go on in a session whose key was known before.
    request.session.cycle_key()
    request.session[HALF_IN] = {
        "user": user.pk,
        "hash": user.get_session_auth_hash(),
        "how": how.value,
        "next": next_url,
        "at": time.time(),
        "secret": secret and sealing.seal(secret),
    }


def _hit(kind: str, key: str, limits: tuple[int, float]) -> bool:
    limit, window_s = limits
    return throttle.hit(kind, key, limit=limit, window_s=window_s)
