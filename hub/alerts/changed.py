"""Tell every evaluating process that rules changed, once that is committed."""

from __future__ import annotations

from asgiref.sync import async_to_sync
from django.db import transaction

from hub.events.bus import get_bus
from hub.events.event import RULES_CHANGED, BusDown, Event
from hub.log import get_logger

log = get_logger(__name__)


def rules() -> None:
    """Call it in the transaction that changes rules."""
    transaction.on_commit(_tell)


def _tell() -> None:
    try:
        async_to_sync(get_bus().publish)(Event(RULES_CHANGED, b"{}"))
    except BusDown as down:
        # They read the rules by themselves every half minute.
        log.warning("rules.untold", error=str(down))
