"""What the live view reads from storage, each in one go. Belongs in a thread."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from hub.live.frames import Card
from hub.live.permits import Credential, Permit, permits
from hub.machines.models import Machine
from hub.machines.presence import to_ms
from hub.storage import layouts, states
from hub.storage.database import guard
from hub.storage.layouts import LayoutInfo, UnknownLayout
from hub.storage.sample import StoredSample

_NAMED = ("machine_id", "name", "interval_s", "left_at")


@dataclass(frozen=True, slots=True)
class Everything:
    cards: dict[int, Card]
    # Only those whose layout is known.
    samples: list[StoredSample]
    layouts: list[LayoutInfo]


def at_everything() -> Everything:
    """Read all machines and their newest samples. Raises DatabaseDown."""
    with guard():
        machines = list(Machine.objects.only(*_NAMED))
    samples = states.latest(machines).values()
    known = {one.id: one for one in layouts_of({one.layout for one in samples})}
    return Everything(
        cards={machine.pk: _card(machine) for machine in machines},
        samples=[sample for sample in samples if sample.layout in known],
        layouts=[*known.values()],
    )


def at_permits(
    credentials: Collection[Credential],
) -> tuple[dict[int, Card], dict[Credential, Permit | None]]:
    """Read the machines' names and who may see them. Raises DatabaseDown."""
    with guard():
        machines = list(Machine.objects.only(*_NAMED))
    return {one.pk: _card(one) for one in machines}, permits(credentials)


def layouts_of(ids: Collection[int]) -> list[LayoutInfo]:
    """Read layouts; one that does not exist is absent. Raises DatabaseDown."""
    found = []
    for layout_id in ids:
        with suppress(UnknownLayout):
            found.append(layouts.get(layout_id))
    return found


def _card(machine: Machine) -> Card:
    left_at = machine.left_at
    return Card(
        machine.machine_id,
        machine.title,
        machine.interval_s,
        None if left_at is None else to_ms(left_at),
    )
