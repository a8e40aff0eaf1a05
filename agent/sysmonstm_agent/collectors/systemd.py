"""systemd's units: how many are in which state, and which have failed.

Asked over the system's D-Bus, which lets everybody ask that.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from sysmonstm_agent import dbus
from sysmonstm_agent.background import AGE, Background
from sysmonstm_agent.collector import NoData
from sysmonstm_agent.files import Files
from sysmonstm_agent.metric import Metric, Reading

COUNT = Metric("systemd.unit.count", "{unit}", "Units that are loaded, by state.")
FAILED = Metric(
    "systemd.unit.failed",
    "1",
    "1 while the unit has failed; 0 for those that had and are well again.",
)

LIST_UNITS = dbus.Method(
    "org.freedesktop.systemd1",
    "/org/freedesktop/systemd1",
    "org.freedesktop.systemd1.Manager",
    "ListUnits",
)
# Columns of its answer: name, description, load state, active state, …
NAME, ACTIVE = 0, 3
STATES = ("active", "reloading", "inactive", "failed", "activating", "deactivating")
# Where a bus has no systemd: in a container that has been given the bus alone.
ABSENT = ("ServiceUnknown", "NameHasNoOwner", "UnknownMethod", "UnknownObject")

# A list of 300 units takes 3 ms of processor time.
EVERY_S = 30.0
WITHIN_S = 10.0
# Those beyond are counted only; where more have failed, one cause is likely.
MAX_NAMED = 20


class Units(NamedTuple):
    states: dict[str, int]
    failed: list[str]


class Systemd:
    name = "systemd"
    metrics = (AGE, COUNT, FAILED)

    def __init__(self, files: Files, bus: str, *, every_s: float = EVERY_S) -> None:
        """`bus` is the path of the bus's socket."""
        self._bus = bus
        self._named: list[str] = []
        self._looking = files.looks.get(
            self.name,
            lambda: Background[Units](
                lambda: look(bus), name=self.name, every_s=every_s
            ),
        )

    def collect(self, now_s: float) -> Iterator[Reading]:
        if not os.path.exists(self._bus):
            raise NoData("no system bus")
        units, age_s = self._looking.newest(now_s)
        yield Reading(AGE, age_s, {"collector": self.name})
        for state, count in units.states.items():
            yield Reading(COUNT, count, {"systemd.unit.active_state": state})
        self._named = named(units.failed, self._named)
        for name in self._named:
            yield Reading(FAILED, name in units.failed, {"systemd.unit.name": name})


def look(path: str) -> Units:
    bus = dbus.Bus(path, within_s=WITHIN_S)
    try:
        (rows,) = bus.call(LIST_UNITS)
    except dbus.BusFailed as failed:
        if failed.name.endswith(ABSENT):
            raise NoData("no systemd on the bus") from None
        raise
    finally:
        bus.close()
    return units(rows)


def units(rows: list[tuple[str, ...]]) -> Units:
    counted = Counter(row[ACTIVE] for row in rows)
    failed = sorted(row[NAME] for row in rows if row[ACTIVE] == "failed")
    # States of systemds to come follow those that are always told of.
    return Units(dict.fromkeys(STATES, 0) | counted, failed)


def named(failed: list[str], before: list[str]) -> list[str]:
    """Return whom to name: the failed, then those that were named before.

    One that is well again stays: what saw it fail must see that it is well.
    """
    well = [name for name in before if name not in failed]
    return sorted((failed + well)[:MAX_NAMED])
