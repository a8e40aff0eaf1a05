"""Forget what lets no agent in any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from celery import shared_task
from django.utils import timezone

from hub.log import get_logger
from hub.machines.models import EnrolmentToken

# Long enough for a person to see why a machine was refused.
EXPIRED_TOKENS_STAY = timedelta(days=30)

log = get_logger(__name__)


@shared_task
def forget_tokens() -> None:
    """Delete enrolment tokens that are long over."""
    log.info("machines.forgot", tokens=forget(timezone.now()))


def forget(now: datetime) -> int:
    """Delete what was long over by `now`; return how many tokens."""
    old = EnrolmentToken.objects.filter(expires_at__lte=now - EXPIRED_TOKENS_STAY)
    return old.delete()[1].get("machines.EnrolmentToken", 0)
