"""Periodic work of settings; when it runs is said in hub/celery.py."""

from __future__ import annotations

from celery import shared_task

from hub.control import rollout
from hub.log import get_logger
from hub.storage.database import DatabaseDown, guard

log = get_logger(__name__)


@shared_task
def tend_rollouts() -> None:
    """Look after every roll-out. Any number may run at once."""
    try:
        with guard():
            rollout.tend()
    except DatabaseDown as down:
        log.warning("rollouts.paused", error=str(down))
