"""Whether the database takes what the hub's writers bring it.

It may answer every question and take nothing: its disk is full, or a table is locked.
Each writer says so itself, and what it says lies on the shelf with its other numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from hub import metrics
from hub.health.probe import Unwell
from hub.health.shelf import PREFIX, ShelfDown, get_shelf

FAILING = "sysmonstm_writer_failing"


def check() -> str:
    """Return a sentence; raises Unwell while a writer waits for the database."""
    if any(_writers()):
        raise Unwell(
            "the database answers and takes no samples; its own log says why. Values "
            "are live only, agents keep their samples."
        )
    return "The database takes every sample."


def is_failing() -> bool:
    """Tell whether this process's writer waits for the database."""
    return bool(metrics.registry.get_sample_value(FAILING))


def _writers() -> Iterator[bool]:
    yield is_failing()
    try:
        kept = get_shelf().read()
    except ShelfDown:
        # The bus says it: it is the same Redis.
        return
    for name, content in kept.items():
        # What lies there of this process is older than what it knows itself.
        if name.startswith(PREFIX) and not name.endswith(f":{metrics.Role.place}"):
            yield bool(orjson.loads(content).get("is_failing"))
