"""The newest sample of machines: from hot state, else from the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from hub.log import get_logger
from hub.machines.models import Machine
from hub.storage.database import DatabaseDown, guard
from hub.storage.hot import HotDown, get_hot
from hub.storage.rows import newest
from hub.storage.sample import StoredSample

log = get_logger(__name__)


def latest(machines: Iterable[Machine] | None = None) -> dict[int, StoredSample]:
    """Return the newest sample of these machines, or of all.

    A machine that never sent one, or whose last has expired, is absent. While the
    database is away, so is what hot state does not hold; raises DatabaseDown when
    that leaves nothing to tell.
    """
    pks = None if machines is None else [machine.pk for machine in machines]
    found = _hot(pks)
    try:
        with guard():
            found |= _stored(found, pks)
    except DatabaseDown as down:
        if not found:
            raise
        log.warning("database.down", error=str(down))
    return found


def _hot(pks: Sequence[int] | None) -> dict[int, StoredSample]:
    try:
        return get_hot().latest(pks)
    except HotDown as down:
        log.warning("hot.down", error=str(down))
        return {}


def _stored(
    found: Collection[int], pks: Iterable[int] | None
) -> dict[int, StoredSample]:
    if pks is None:
        pks = Machine.objects.values_list("pk", flat=True)
    missing = [pk for pk in pks if pk not in found]
    return newest(missing) if missing else {}
