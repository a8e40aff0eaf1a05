"""What the hub leans on: a small check for each."""

from __future__ import annotations

import asyncio
from functools import cache

from django.conf import settings
from django.db import connection

from hub import metrics
from hub.alerts import postbox
from hub.events.bus import get_bus
from hub.health import storing, trust
from hub.health.probe import Finding, InThread, Probe, Unwell
from hub.storage.hot import get_hot
from hub.storage.models import Watermark
from hub.storage.tiers import HOUR

# Without it nothing can be shown; without the others, less.
ESSENTIAL = "database"
# Only asked where one is kept: while it is away, old hours stay in the database.
ARCHIVE = "archive"


# People are told of alerts; asked where there is a contact to tell.
MESSAGES = "messages"

# The database may answer and take nothing: its disk is full.
STORING = "storing"

# Whom agents meet; asked where pages and agents are served by different processes.
CERTIFICATE = "certificate"
# What the process is called, see `metrics.Role`, that makes commands for machines.
PAGES = "web"


class NotKept(Exception):
    """The archive did not take what expired."""


@cache
def probes() -> tuple[Probe, ...]:
    """Return this process's probes, the essential one first."""
    needed = (
        Probe(ESSENTIAL, InThread(_database)),
        Probe("hot", InThread(_hot)),
        Probe("bus", _bus),
        Probe(STORING, InThread(storing.check)),
        Probe(MESSAGES, InThread(_messages)),
    )
    more = []
    if settings.REDIS_URL and metrics.Role.name == PAGES:
        more.append(Probe(CERTIFICATE, InThread(trust.compare)))
    if settings.ARCHIVE_URL:
        more.append(Probe(ARCHIVE, InThread(_archive)))
    return (*needed, *more)


async def findings() -> dict[str, Finding]:
    """Ask all of them at once."""
    asked = probes()
    found = await asyncio.gather(*(probe.find() for probe in asked))
    return {probe.name: finding for probe, finding in zip(asked, found, strict=True)}


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            # A table of ours: an empty database answers, but is of no use.
            cursor.execute("SELECT 1 FROM machines_machine LIMIT 1")
    finally:
        # This thread asks rarely and keeps nothing meanwhile.
        connection.close()
    return f"{connection.display_name} answers."


def _hot() -> str:
    get_hot().ready()
    return "Redis answers." if settings.REDIS_URL else "In this process's memory."


def _messages() -> str:
    try:
        found = postbox.post()
    finally:
        connection.close()
    metrics.MESSAGES_WAITING.follow(lambda: found.waiting)
    metrics.MESSAGES_DEAD.follow(lambda: found.dead)
    if found.trouble:
        raise Unwell(found.trouble)
    return f"{found.sent} sent and {found.failed} failed within the last hour."


def _archive() -> str:
    try:
        mark = Watermark.objects.filter(pk=HOUR.name).first()
    finally:
        connection.close()
    if mark and mark.trouble:
        raise NotKept(mark.trouble)
    return "It takes the hours that expire."


async def _bus() -> str:
    await get_bus().ready()
    return "Redis answers." if settings.REDIS_URL else "In this process's memory."
