"""Something that happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

# One event for each committed batch: `hub.storage.sample.pack` of its samples.
METRICS_RAW = "metrics.raw"
# A machine is new or has another name: {"pk": …, "machine_id": …} as JSON.
MACHINES_CHANGED = "machines.changed"
# {"alert": id, "machine": machine_id, "severity": …, "rule": name, "state": …}.
ALERTS_OPENED = "alerts.opened"
ALERTS_CHANGED = "alerts.changed"
ALERTS_RESOLVED = "alerts.resolved"
ALERT_TOPICS = (ALERTS_OPENED, ALERTS_CHANGED, ALERTS_RESOLVED)
# Rules were made, changed or deleted: {}.
RULES_CHANGED = "rules.changed"
# A machine's agent has connected: {"pk": …, "stream": …} as JSON.
STREAM_OPENED = "streams.opened"
# {"machine": pk, "around_ms": by the hub's clock, "request": number}: see
# `hub.ingest.asking`.
PROCESSES_ASK = "processes.ask"
# A snapshot of processes is in hot state: {"pk": …, "taken_ms": …, "request": …},
# whose number is 0 when nobody had asked.
PROCESSES_SEEN = "processes.seen"
# A machine's credential was made, replaced or revoked: {"pk": …} as JSON.
CREDENTIALS_CHANGED = "credentials.changed"
# The settings wanted of agents have changed: {"pks": [...]}, or {} for everybody's.
SETTINGS_CHANGED = "settings.changed"
# Somebody looks at these machines' own pages now: {"pks": [...]}, told again every
# few seconds as long as it is so.
MACHINES_WATCHED = "machines.watched"
# Instant samples, packed as in METRICS_RAW: to be shown, never judged.
METRICS_INSTANT = "metrics.instant"

# A member that dies this often on one event is killed by it.
MAX_DELIVERIES = 5


@dataclass(frozen=True, slots=True)
class Event:
    topic: str
    payload: bytes
    # Given by the bus; within a topic a later event has a greater one.
    id: str = ""


class BusDown(Exception):
    """The bus cannot take or give events now; later it may (temporary)."""


class Events(Protocol):
    """A running subscription: an asynchronous iterator that never ends."""

    def __aiter__(self) -> Events: ...

    async def __anext__(self) -> Event: ...

    @property
    def lost(self) -> int:
        """How many events this subscriber has missed by being slow."""

    @property
    def down(self) -> bool:
        """Whether the bus is away; the subscription goes on by itself."""


def dead(topic: str) -> str:
    """Name the topic for events that nobody could process."""
    return f"dead.{topic}"
