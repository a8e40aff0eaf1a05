"""When a number is worth a second look.

Fixed and few, and only until somebody switches a rule on (`alarms.py`): they colour
a page and never tell anybody. The browser gets the same table.
"""

from __future__ import annotations

from typing import Final, Literal

# Warning, critical. A busy processor is no fault, so it never becomes critical.
LEVELS: Final[dict[str, tuple[float, float | None]]] = {
    "cpu": (0.95, None),
    "memory": (0.90, 0.97),
    "disk": (0.85, 0.95),
}
# What makes a machine need somebody: these last, a processor's load passes.
LASTING: Final[tuple[Literal["memory", "disk"], ...]] = ("memory", "disk")


def level(name: str, value: float | None) -> str:
    """Return "", "warning" or "critical"; a missing reading is neither."""
    if value is None:
        return ""
    warning, critical = LEVELS[name]
    if critical is not None and value >= critical:
        return "critical"
    return "warning" if value >= warning else ""
