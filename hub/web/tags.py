"""The tags of machines, as the overview shows them and is narrowed by them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from hub.machines.models import Machine
from hub.web.rows import Row


@dataclass(frozen=True, slots=True)
class Choice:
    """One tag that the overview can be narrowed to; "" is every machine."""

    name: str
    label: str
    address: str
    is_chosen: bool


def of_machines() -> dict[int, tuple[str, ...]]:
    """Return the tags of all machines that have one, in one query and by name."""
    found: dict[int, tuple[str, ...]] = {}
    pairs = Machine.tags.through.objects.order_by("tag__name")
    for machine, name in pairs.values_list("machine_id", "tag__name"):
        found[machine] = (*found.get(machine, ()), name)
    return found


def choices(rows: Iterable[Row], asked: dict[str, str]) -> list[Choice]:
    """Return what can be chosen among these rows; nothing where none has a tag.

    `asked` is what stands in the address and is kept.
    """
    names = sorted({tag for row in rows for tag in row.tags})
    chosen = asked.get("tag", "")
    if chosen and chosen not in names:
        names.append(chosen)
    if not names:
        return []
    return [
        Choice(name, name or "All", _address(asked | {"tag": name}), name == chosen)
        for name in ("", *names)
    ]


def _address(fields: dict[str, str]) -> str:
    return f"?{urlencode({name: text for name, text in fields.items() if text})}"
