"""Periodic work of alerting; when it runs is said in hub/celery.py."""

from __future__ import annotations

from celery import shared_task

from hub.alerts import delivery
from hub.log import get_logger
from hub.storage.database import DatabaseDown, guard

log = get_logger(__name__)


@shared_task
def deliver() -> None:
    """Tell people what there is to tell. Any number may run at once."""
    try:
        with guard():
            delivery.deliver()
    except DatabaseDown as down:
        # What waits is in the database; so the next run finds it.
        log.warning("delivery.paused", error=str(down))
