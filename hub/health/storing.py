"""Whether the database takes what the hub's writers bring it.

It may answer every question and take nothing: its disk is full, or a table is locked.
Each writer knows itself, and lays it on the shelf for the others.
"""

from __future__ import annotations

from hub import metrics
from hub.health.probe import Unwell
from hub.health.shelf import ShelfDown, get_shelf

FAILING = "sysmonstm_writer_failing"
# Names on the shelf: this and the process's place.
PREFIX = "writer:"
WAITS, WRITES = b"waits", b"writes"


def check() -> str:
    """Return a sentence; raises Unwell while a writer waits for the database."""
    if _is_failing() or WAITS in _others():
        raise Unwell(
            "The database answers and takes no samples; its own log says why. Values "
            "are live only, agents keep their samples."
        )
    return "The database takes every sample."


def tell(*, lifetime_s: float) -> None:
    """Lay it down for the others, once. Raises ShelfDown."""
    said = WAITS if _is_failing() else WRITES
    get_shelf().put(f"{PREFIX}{metrics.Role.place}", said, lifetime_s=lifetime_s)


def _is_failing() -> bool:
    return bool(metrics.registry.get_sample_value(FAILING))


def _others() -> list[bytes]:
    try:
        kept = get_shelf().read()
    except ShelfDown:
        # The bus says it: it is the same Redis.
        return []
    # What lies there of this process is older than what it knows itself.
    own = f"{PREFIX}{metrics.Role.place}"
    return [
        said for name, said in kept.items() if name.startswith(PREFIX) and name != own
    ]
