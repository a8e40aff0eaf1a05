"""Tell every process that wanted settings changed, once that is committed."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from asgiref.sync import async_to_sync
from django.db import transaction

from hub.events.bus import get_bus
from hub.events.event import SETTINGS_CHANGED, BusDown, Event
from hub.log import get_logger

log = get_logger(__name__)

# With more the event says "everybody's": an event is no list.
MAX_NAMED = 1_000


def tell(pks: Iterable[int] | None = None) -> None:
    """Call it in the transaction that changes them; None: everybody's."""
    named = None if pks is None else sorted(set(pks))
    if named == []:
        return
    told = {} if named is None or len(named) > MAX_NAMED else {"pks": named}
    transaction.on_commit(lambda: _tell(orjson.dumps(told)))


def _tell(payload: bytes) -> None:
    try:
        async_to_sync(get_bus().publish)(Event(SETTINGS_CHANGED, payload))
    except BusDown as down:
        # Whoever serves agents looks by itself every half minute.
        log.warning("settings.untold", error=str(down))


def read(payload: bytes) -> set[int] | None:
    """Return whose settings an event is about; None: everybody's.

    Raises ValueError.
    """
    told = orjson.loads(payload)
    if not isinstance(told, dict):
        raise ValueError("not an object")
    pks = told.get("pks")
    if pks is None:
        return None
    if not isinstance(pks, list) or not all(type(pk) is int for pk in pks):
        raise ValueError("not a list of numbers")
    return set(pks)
