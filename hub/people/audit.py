"""Who did what, and when: written once, never changed."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import Model
from django.http import HttpRequest

from hub.log import get_logger
from hub.people import address
from hub.people.models import AuditEntry

log = get_logger(__name__)

Value = str | int | float | bool

MAX_VALUE_CHARACTERS = 500
MAX_VALUES = 32


def record(
    by: AbstractBaseUser | AnonymousUser | None,
    action: str,
    subject: str = "",
    *,
    address: str = "",
    **detail: Value,
) -> None:
    """Note that somebody did something; `by` None is the hub or a stranger.

    In the transaction of the caller: what is rolled back did not happen.
    """
    user = by if isinstance(by, User) and by.pk is not None else None
    entry = AuditEntry(
        by=user,
        by_name=user.get_username() if user else "",
        action=action,
        subject=_short(subject, AuditEntry.SUBJECT_CHARACTERS),
        address=_short(address, AuditEntry.ADDRESS_CHARACTERS),
        detail={
            name: _value(value) for name, value in list(detail.items())[:MAX_VALUES]
        },
    )
    entry.save(force_insert=True)
    log.info("audit", action=action, subject=entry.subject, by=entry.by_name)


def of(request: HttpRequest, action: str, subject: str = "", **detail: Value) -> None:
    """Note what the person of a request did."""
    record(request.user, action, subject, address=address.of(request), **detail)


def admin_action(model: type[Model], what: str) -> str:
    """Return what a change in the admin is called: `rule.changed`."""
    return f"{model._meta.model_name}.{what}"[:64]


def forget(before: datetime) -> int:
    """Delete what is older; return how many entries it was."""
    deleted, _ = AuditEntry.objects.filter(at__lt=before).delete()
    return deleted


def _value(value: Value) -> Value:
    return _short(value, MAX_VALUE_CHARACTERS) if isinstance(value, str) else value


def _short(text: str, most: int) -> str:
    # PostgreSQL has no NUL in texts.
    return text.replace("\0", "�")[:most]
