"""Periodic work of the storage; when it runs is said in hub/celery.py."""

from __future__ import annotations

from dataclasses import asdict

from celery import shared_task
from django.db import OperationalError
from django.utils import timezone

from hub.log import get_logger
from hub.storage import backfill, chunks, expire, prune, rollup, tiers
from hub.storage.archive import ArchiveFailed
from hub.storage.database import DatabaseDown

log = get_logger(__name__)


@shared_task
def roll_up() -> None:
    """Bring minutes and hours up to now."""
    try:
        done = rollup.roll_up(timezone.now())
    except DatabaseDown as down:
        # The next run takes what this one left.
        log.warning("rollup.stopped", error=str(down))
    else:
        log.debug("rollup.done", **asdict(done))


@shared_task
def expire_tiers() -> None:
    """Delete rows whose time is over."""
    for tier in tiers.TIERS:
        try:
            gone = expire.expire(tier, timezone.now())
        except DatabaseDown as down:
            log.warning("expire.stopped", tier=tier.name, error=str(down))
        except ArchiveFailed as failed:
            log.error("archive.failed", error=str(failed))
        else:
            log.info("expire.done", tier=tier.name, count=gone)
    _expire_marks()
    _prune()


def _expire_marks() -> None:
    """Forget what was said of stretches that no tier has any more."""
    longest = max(tier.retention for tier in tiers.TIERS)
    try:
        gone = backfill.expire(timezone.now() - longest)
    except (DatabaseDown, OperationalError) as down:
        log.warning("expire.stopped", tier="marks", error=str(down))
    else:
        log.info("expire.done", tier="marks", count=gone)


def _prune() -> None:
    """Forget what was measured, once no tier has anything of it."""
    try:
        gone = prune.prune(timezone.now())
    except (DatabaseDown, OperationalError) as down:
        log.warning("prune.stopped", error=str(down))
    else:
        log.info("prune.done", **asdict(gone))


@shared_task
def tend_chunks() -> None:
    """Keep TimescaleDB's chunks ready, small and known to the planner."""
    try:
        chunks.tend(timezone.now())
    except DatabaseDown as down:
        log.warning("chunks.not_tended", error=str(down))
