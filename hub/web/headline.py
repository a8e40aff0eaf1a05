"""The first question, answered first: is anything wrong?

`static/js/headline.js` says the same as states change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from hub.web.rows import NEEDS, Row


class Part(NamedTuple):
    kind: str
    text: str


def headline(rows: Iterable[Row]) -> list[Part]:
    """Return "12 machines", "2 need you", "1 stale"…, worst first."""
    states = Counter(row.state for row in rows)
    total = states.total()
    need = sum(states[state] for state in NEEDS)
    parts = [Part("total", "1 machine" if total == 1 else f"{total:,} machines")]
    if need:
        parts.append(Part("need", f"{need:,} need{'s' if need == 1 else ''} you"))
    if states["warning"]:
        parts.append(Part("late", f"{states['warning']:,} to watch"))
    if states["stale"]:
        parts.append(Part("late", f"{states['stale']:,} stale"))
    if states["never"]:
        parts.append(Part("late", f"{states['never']:,} waiting for a first sample"))
    if states["stopped"]:
        parts.append(Part("late", f"{states['stopped']:,} stopped"))
    if len(parts) == 1 and total:
        parts.append(Part("well", "all well"))
    return parts
