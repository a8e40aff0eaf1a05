"""Periodic work shows that it is done, and what doing it costs."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from hub.health.background import tell
from hub.health.canary import LIFETIME_S, sing
from hub.health.figures import recent


@shared_task
def canary() -> None:
    """Let Redis know that a task was run; alone in a process there is none."""
    if settings.REDIS_URL:
        sing(settings.REDIS_URL)
        # A worker has no event loop to do this on.
        tell("worker", lifetime_s=LIFETIME_S)
        recent.note()
