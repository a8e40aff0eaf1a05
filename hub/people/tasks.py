"""Forget what lets nobody in any more."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib import import_module

from celery import shared_task
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from hub.log import get_logger
from hub.people import audit
from hub.people.models import ApiToken, SignInLink

# Long enough for a person to see why a program was refused.
EXPIRED_TOKENS_STAY = timedelta(days=30)

log = get_logger(__name__)


@shared_task
def forget_expired() -> None:
    """Delete links, tokens, sessions and audit entries whose time is over."""
    links, tokens = forget(timezone.now())
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    entries = audit.forget(timezone.now() - settings.AUDIT_RETENTION)
    log.info("people.forgot", links=links, tokens=tokens, audit=entries)


def forget(now: datetime) -> tuple[int, int]:
    """Delete what was over by `now`; return how many links and tokens."""
    links, _ = SignInLink.objects.filter(
        Q(expires_at__lte=now) | Q(used_at__isnull=False)
    ).delete()
    tokens, _ = ApiToken.objects.filter(
        expires_at__lte=now - EXPIRED_TOKENS_STAY
    ).delete()
    return links, tokens
