"""Which processes of a machine used the most at a moment, as it travels in the hub."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

_VERSION = b"\x01"


@dataclass(frozen=True, slots=True)
class Entry:
    """One process."""

    pid: int
    name: str
    user: str
    # Secrets were masked by the agent; may be empty.
    command: str
    # Unix milliseconds by the hub's clock; None = unknown.
    started_ms: int | None
    # Processor time per time: 1 = one core, all the time.
    cpu: float
    memory_bytes: int
    # Of the machine's (0-1).
    memory: float
    # Bytes per second; None = the agent may not know.
    read: float | None
    write: float | None

    @property
    def io(self) -> float:
        return (self.read or 0.0) + (self.write or 0.0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Moments are by the hub's clock, Unix milliseconds."""

    machine: int
    taken_ms: int
    # Over how long rates were measured, up to that moment.
    span_ms: int
    entries: tuple[Entry, ...]

    def distance_ms(self, around_ms: int) -> float:
        """Return how far it is off a moment, as the agent reckons too.

        One that spans long says little of any moment.
        """
        early, late = around_ms - self.taken_ms, self.taken_ms - self.span_ms
        return max(early, late - around_ms, 0) + self.span_ms / 4


def nearest(snapshots: Sequence[Snapshot], around_ms: int) -> Snapshot | None:
    """Return the one that says most about a moment."""
    return min(snapshots, key=lambda one: one.distance_ms(around_ms), default=None)


def to_rows(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    return [asdict(entry) for entry in entries]


def from_rows(rows: Sequence[dict[str, Any]]) -> tuple[Entry, ...]:
    return tuple(Entry(**row) for row in rows)


def pack(snapshot: Snapshot) -> bytes:
    """Return it as bytes, about 40 for each process."""
    told = {
        "machine": snapshot.machine,
        "taken_ms": snapshot.taken_ms,
        "span_ms": snapshot.span_ms,
        "entries": to_rows(snapshot.entries),
    }
    return _VERSION + zlib.compress(orjson.dumps(told), 1)


def unpack(message: bytes) -> Snapshot:
    """Raises ValueError when the message is of another version, or damaged."""
    if message[:1] != _VERSION:
        raise ValueError("processes of another version")
    try:
        told = orjson.loads(zlib.decompress(message[1:]))
        return Snapshot(
            machine=told["machine"],
            taken_ms=told["taken_ms"],
            span_ms=told["span_ms"],
            entries=from_rows(told["entries"]),
        )
    except (zlib.error, KeyError, TypeError) as error:
        raise ValueError(f"processes that cannot be read: {error}") from error
