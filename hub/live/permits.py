"""Who may see which machines: asked when a socket opens, and again while it is.

Everything here asks the database, and so belongs in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    load_backend,
)
from django.contrib.auth.models import AbstractBaseUser
from django.utils.crypto import constant_time_compare

from hub.machines.registry import is_limited, visible_to
from hub.people import tokens
from hub.storage.database import guard


@dataclass(frozen=True, slots=True)
class Session:
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    secret: str = field(repr=False)


Credential = Session | Token


@dataclass(frozen=True, slots=True)
class Permit:
    user: int
    machines: frozenset[int]
    # There may be machines, now or once, that this user does not see.
    is_limited: bool


def permits(credentials: Iterable[Credential]) -> dict[Credential, Permit | None]:
    """Return what each may see now; None = no longer signed in.

    Raises DatabaseDown. Users with many sockets are looked up once.
    """
    visible: dict[int, Permit] = {}
    found: dict[Credential, Permit | None] = {}
    with guard():
        for credential in credentials:
            user = _user(credential)
            if user is None or not user.is_active:
                found[credential] = None
                continue
            if user.pk not in visible:
                pks = frozenset(visible_to(user).values_list("pk", flat=True))
                visible[user.pk] = Permit(user.pk, pks, is_limited(user))
            found[credential] = visible[user.pk]
    return found


def _user(credential: Credential) -> AbstractBaseUser | None:
    if isinstance(credential, Token):
        token = tokens.find(credential.secret)
        return token.user if token else None
    return _user_of(credential.key)


def _user_of(session_key: str) -> AbstractBaseUser | None:
    """Return whose session this is, as a request of that browser would find.

    Django's own get_user would end or renew the session on the way, behind the
    back of the browser that holds its key.
    """
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    try:
        backend, user_id = session[BACKEND_SESSION_KEY], session[SESSION_KEY]
    except KeyError:
        return None
    if backend not in settings.AUTHENTICATION_BACKENDS:
        return None
    user = load_backend(backend).get_user(user_id)
    if user is None:
        return None
    kept = session.get(HASH_SESSION_KEY) or ""
    valid = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return user if any(constant_time_compare(kept, one) for one in valid) else None
