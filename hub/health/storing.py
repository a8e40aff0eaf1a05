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


def _writers() -> Iterator[bool]:
    yield bool(metrics.registry.get_sample_value(FAILING))
    try:
        kept = get_shelf().read()
    except ShelfDown:
        # The bus says it: it is the same Redis.
        return
    for name, content in kept.items():
        if name.startswith(PREFIX):
            yield bool(orjson.loads(content)["figures"].get(FAILING))
