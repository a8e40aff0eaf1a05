"""Tell every process of machines and their credentials, once that is committed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import orjson
from asgiref.sync import async_to_sync
from django.db import transaction

from hub.events.bus import get_bus
from hub.events.event import CREDENTIALS_CHANGED, MACHINES_CHANGED, BusDown, Event
from hub.log import get_logger

log = get_logger(__name__)


def credentials_changed(pk: int) -> None:
    """Call it in the transaction that changes a machine's credentials."""
    _after(Event(CREDENTIALS_CHANGED, orjson.dumps({"pk": pk})))


def machine_came(pk: int, machine_id: str) -> None:
    """Call it in the transaction that makes a machine."""
    payload = {"pk": pk, "machine_id": machine_id}
    _after(Event(MACHINES_CHANGED, orjson.dumps(payload)))


def _after(event: Event) -> None:
    tell: Callable[[], None] = partial(_tell, event)
    transaction.on_commit(tell)


def _tell(event: Event) -> None:
    try:
        async_to_sync(get_bus().publish)(event)
    except BusDown as down:
        # Who must know looks into the database as well.
        log.warning("machines.untold", topic=event.topic, error=str(down))
