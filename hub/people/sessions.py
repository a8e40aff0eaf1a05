"""Where somebody is signed in, and the end of that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from hub.people.entry import SIGNED_IN
from hub.people.session_store import kept

# Looked through for one person's; more than a hub's people ever have.
MAX_SESSIONS = 10_000

# The first that is found: most browsers name others beside themselves.
BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """One browser. Its `id` says which, and lets nobody in."""

    id: str
    at: datetime | None
    address: str
    browser: str
    how: str
    is_this: bool

    @property
    def program(self) -> str:
        """The browser's name and system, as far as it tells."""
        name = next((name for mark, name in BROWSERS if mark in self.browser), "")
        system = next((name for mark, name in SYSTEMS if mark in self.browser), "")
        known = " on ".join(part for part in (name, system) if part)
        return known or self.browser[:40] or "Unknown"


def of(user: User, this: str | None) -> list[SignedIn]:
    """Return a person's sessions, the newest first; `this` is the asking one's key."""
    found = [_told(key, said, this) for key, said in _kept_by(user)]
    oldest = datetime.min.replace(tzinfo=UTC)
    return sorted(found, key=lambda one: one.at or oldest, reverse=True)


def end(user: User, *, but: str | None = None, only: str | None = None) -> int:
    """End a person's sessions: all, all but one's key, or the one with an id."""
    keys = [
        key
        for key, _ in _kept_by(user)
        if (but is None or key != kept(but)) and (only is None or _id(key) == only)
    ]
    Session.objects.filter(session_key__in=keys).delete()
    return len(keys)


def _kept_by(user: User) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = Session.objects.filter(expire_date__gt=timezone.now())
    for row in rows.order_by("-expire_date")[:MAX_SESSIONS]:
        said = row.get_decoded()
        if said.get(SESSION_KEY) == str(user.pk) and constant_time_compare(
            said.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()
        ):
            yield row.session_key, said


def _told(key: str, said: dict[str, Any], this: str | None) -> SignedIn:
    note = said.get(SIGNED_IN, {})
    at = note.get("at")
    return SignedIn(
        id=_id(key),
        at=None if at is None else datetime.fromtimestamp(at, UTC),
        address=note.get("address", ""),
        browser=note.get("browser", ""),
        how=note.get("how", ""),
        is_this=this is not None and key == kept(this),
    )


def _id(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]
