"""A machine as one row of the overview: its numbers, its state, its HTML.

`static/js/rows.js` writes the same cells when a sample arrives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from hub.machines.models import Machine
from hub.machines.presence import Presence, presence
from hub.storage.sample import StoredSample
from hub.storage.summary import Summary
from hub.web.alarms import Alarms
from hub.web.levels import LASTING, level
from hub.web.templatetags import units

# Worst first; the browser sorts by the same order.
STATES = ("offline", "critical", "stale", "warning", "never", "stopped", "online")
WORDS = {
    "offline": "Offline",
    "critical": "Critical",
    "stale": "Stale",
    "warning": "Warning",
    "never": "Waiting",
    "stopped": "Stopped",
    "online": "Online",
}
# What a person has to look at now.
NEEDS = ("offline", "critical")


@dataclass(frozen=True, slots=True)
class Row:
    machine_id: str
    title: str
    state: str
    seen_ms: int | None
    age_s: float | None
    summary: Summary | None
    # Of its open alerts; None = there are none.
    told: dict[str, Any] | None = None
    # Rules decide what is worth a second look, not the fixed levels.
    is_ruled: bool = False
    tags: tuple[str, ...] = ()

    def level(self, name: str) -> str:
        """Return "", "warning" or "critical" for one of its numbers."""
        if not self.is_ruled:
            return level(name, self.summary[name] if self.summary else None)  # type: ignore[literal-required]
        return str(self.told["cells"].get(name, "")) if self.told else ""


def row(
    machine: Machine,
    sample: StoredSample | None,
    summary: Summary | None,
    now_ms: int,
    alarms: Alarms,
    tags: tuple[str, ...] = (),
) -> Row:
    seen_ms = sample.received_ms if sample else None
    there = presence(
        seen_ms=seen_ms,
        now_ms=now_ms,
        interval_s=machine.interval_s,
        left_at=machine.left_at,
    )
    return Row(
        machine_id=machine.machine_id,
        title=machine.title,
        state=state(
            there, summary, alarms.state(machine.pk) if alarms.is_ruled else None
        ),
        seen_ms=seen_ms,
        age_s=None if seen_ms is None else (now_ms - seen_ms) / 1000,
        summary=summary,
        told=alarms.told(machine.pk),
        is_ruled=alarms.is_ruled,
        tags=tags,
    )


def state(there: Presence, summary: Summary | None, alarm: str | None = None) -> str:
    """Return the worst of presence and of what is wrong, as one of STATES.

    `alarm` is what the open alerts say, "" when none is open; without any rule it
    is None, and the fixed levels stand in for those that are there.
    """
    found = {str(there), alarm or ""}
    if summary and alarm is None and there is not Presence.STOPPED:
        found |= {level(name, summary[name]) for name in LASTING}
    return min(found - {""}, key=STATES.index)


SORTS = ("state", "name", "cpu", "memory", "disk", "network", "load", "seen")


def arrange(rows: Iterable[Row], order: str) -> list[Row]:
    """Return rows in the order of `?sort=`; "-" turns it round.

    Numbers start with the largest, names with a; a missing number comes last.
    """
    name = order.removeprefix("-")
    turned = order.startswith("-")
    by_name = sorted(rows, key=lambda row: (row.title.lower(), row.machine_id))
    if name == "name":
        return by_name[::-1] if turned else by_name
    if name not in SORTS or name == "state":
        keys = {state: n for n, state in enumerate(STATES)}
        return sorted(by_name, key=lambda row: keys[row.state], reverse=turned)
    known = [
        (value, row) for row in by_name if (value := _number(row, name)) is not None
    ]
    missing = [row for row in by_name if _number(row, name) is None]
    known.sort(key=lambda pair: pair[0], reverse=not turned)
    return [row for _, row in known] + missing


def matches(row: Row, query: str, tag: str = "") -> bool:
    """Tell whether a row has the tag, and each word in its name, state or tags."""
    if tag and tag not in row.tags:
        return False
    if not query:
        return True
    shown = (row.title, row.machine_id, WORDS[row.state], *row.tags)
    text = " ".join(shown).lower()
    return all(word in text for word in query.lower().split())


def html(rows: Sequence[Row], *, query: str = "", tag: str = "") -> SafeString:
    """Return the rows' HTML; those that do not fit query and tag are hidden.

    A thousand rows took Django's templates 93 ms and take this 15: so the one
    template that is filled a thousand times is filled by `str.format`. Every
    text that came from outside is escaped here.
    """
    template = _template()
    link = reverse("web:machine", args=["0"]).removesuffix("0/")
    return mark_safe(
        "".join(
            template.format_map(
                _fields(row, link)
                | {"hidden": "" if matches(row, query, tag) else " hidden"}
            )
            for row in rows
        )
    )


def _fields(row: Row, link: str) -> dict[str, object]:
    shown = row.summary or _EMPTY
    mount = escape(shown["disk_mount"] or "")
    cores = shown["cores"]
    return {
        "id": escape(row.machine_id),
        "title": escape(row.title),
        "url": f"{link}{quote(row.machine_id)}/",
        "alarm_level": row.told["level"] if row.told else "",
        "alarm_names": escape(row.told["names"]) if row.told else "",
        "alarm_count": row.told["count"] if row.told else "",
        "tags": escape(" ".join(row.tags)),
        "state": row.state,
        "word": WORDS[row.state],
        "cpu": units.percent_parts(shown["cpu"]),
        "cpu_level": row.level("cpu"),
        "cpu_width": _width(shown["cpu"]),
        "memory": units.percent_parts(shown["memory"]),
        "memory_level": row.level("memory"),
        "memory_width": _width(shown["memory"]),
        "disk": units.percent_parts(shown["disk"]),
        "disk_level": row.level("disk"),
        "disk_width": _width(shown["disk"]),
        "disk_mount": mount,
        "rx": units.rate_parts(shown["rx"]),
        "tx": units.rate_parts(shown["tx"]),
        "load": units.number_parts(shown["load1"])[0],
        "cores": "" if cores is None else f"/ {units.count_parts(cores)[0]}",
        "moment": units.moment(row.seen_ms),
        "ago": units.ago(row.age_s),
    }


_EMPTY: Summary = dict.fromkeys(Summary.__annotations__)  # type: ignore[assignment]


@cache
def _template() -> str:
    path = Path(settings.BASE_DIR) / "templates" / "web" / "row.format.html"
    return path.read_text().replace("\n", "") + "\n"


def _width(ratio: float | None) -> int:
    return 0 if ratio is None else round(min(max(ratio, 0), 1) * 100)


def _number(row: Row, name: str) -> float | None:
    if name == "seen":
        return row.seen_ms
    if row.summary is None:
        return None
    if name == "network":
        rx, tx = row.summary["rx"], row.summary["tx"]
        return None if rx is None and tx is None else (rx or 0) + (tx or 0)
    if name == "load":
        load, cores = row.summary["load1"], row.summary["cores"]
        return None if load is None else load / (cores or 1)
    value: float | None = row.summary[name]  # type: ignore[literal-required]
    return value
