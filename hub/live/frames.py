"""What travels between the hub and a browser. Needs no Django and no database.

A state is encoded once, as bytes, and put into as many frames as there are
browsers. Frames are numbered from 1 on each line; the browser gives each back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import orjson

# What a line brings: short states, complete ones, or only news of alerts.
SUMMARY, FULL, ALERTS = "summary", "full", "alerts"
VIEWS = (SUMMARY, FULL, ALERTS)

# Frames that may be on their way to one browser: one is drawn, one travels.
CREDIT = 2
# A browser takes a line for dead that has been silent for 15 s.
HEARTBEAT_S = 9.0
# A browser has nothing to say but a number.
MAX_MESSAGE_BYTES = 4096

Series = tuple[str, str, Iterable[tuple[str, str]]]


class Close(IntEnum):
    """Why a line ends. Private codes: daphne cannot send 1003 or 1013."""

    BAD_MESSAGE = 4400
    SIGNED_OUT = 4401
    NOT_FOUND = 4404
    NO_ACK = 4408
    TOO_LARGE = 4413
    TOO_MANY = 4429
    TRY_LATER = 4503


class BadMessage(Exception):
    """A browser said what it never says (permanent)."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a machine is called."""

    machine_id: str
    title: str
    interval_s: float
    # When its agent said goodbye.
    left_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest sample of a machine: its times, its summary, its vector."""

    time_ms: int
    seen_ms: int
    summary: Mapping[str, object] | None
    layout: int
    # Little-endian float32s in the order of the layout.
    values: bytes


@dataclass(frozen=True, slots=True)
class News:
    """Something happened to an alert. `machine` "" = it was deleted since."""

    alert: int
    machine: str
    encoded: bytes


def state(view: str, card: Card, reading: Reading | None) -> bytes:
    """Encode one machine for a view. What is not finite becomes null."""
    told: dict[str, Any] = {
        "id": card.machine_id,
        "title": card.title,
        "time": reading and reading.time_ms,
        "seen": reading and reading.seen_ms,
        "interval": card.interval_s,
        "left": card.left_ms,
        "summary": reading and reading.summary,
    }
    if view == FULL:
        told["layout"] = reading and str(reading.layout)
        told["values"] = reading and np.frombuffer(reading.values, "<f4")
    return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)


def instant(machine_id: str, layout_id: int, time_ms: int, values: bytes) -> bytes:
    """Encode a sample between two ticks; it says nothing of the machine's state."""
    told = {
        "id": machine_id,
        "layout": str(layout_id),
        "time": time_ms,
        "values": np.frombuffer(values, "<f4"),
    }
    return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)


def layout(series: Iterable[Series]) -> bytes:
    """Encode what the places of a vector mean."""
    return orjson.dumps(
        [
            {"metric": metric, "unit": unit, "attributes": dict(attributes)}
            for metric, unit, attributes in series
        ]
    )


def frame(
    kind: str,
    number: int,
    at_ms: int,
    states: Iterable[bytes],
    *,
    layouts: Mapping[int, bytes] | None = None,
    gone: Iterable[str] = (),
    alerts: Iterable[bytes] = (),
    instants: Iterable[bytes] = (),
    bus_down: bool = False,
) -> str:
    """Put a "snapshot" or "changes" together from encoded states.

    `alerts` are the news of alerts as they came: a page that hears of one reads
    them all again, so none of them need be complete.
    """
    parts = [
        b'{"type":"%b","n":%d,"at":%d,"machines":[' % (kind.encode(), number, at_ms),
        b",".join(states),
        b"]",
    ]
    if layouts:
        pairs = (b'"%d":%b' % pair for pair in layouts.items())
        parts += (b',"layouts":{', b",".join(pairs), b"}")
    if gone := list(gone):
        parts += (b',"gone":', orjson.dumps(gone))
    if news := b",".join(alerts):
        parts += (b',"alerts":[', news, b"]")
    if close := b",".join(instants):
        parts += (b',"instants":[', close, b"]")
    parts.append(b',"bus":"down"}' if bus_down else b"}")
    return b"".join(parts).decode()


def read_ack(text: str) -> int:
    """Return the number of the frame that a browser has drawn.

    Raises BadMessage for whatever else it may have said.
    """
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError as wrong:
        raise BadMessage("not JSON") from wrong
    match said:
        case {"type": "ack", "n": int(number)} if not isinstance(number, bool):
            return number
    raise BadMessage("not an acknowledgement")


def read_news(payload: bytes) -> News:
    """Read an event of the alerts' topics. Raises BadMessage."""
    try:
        said = orjson.loads(payload)
    except orjson.JSONDecodeError as wrong:
        raise BadMessage("not JSON") from wrong
    match said:
        case {"alert": int(alert), "machine": str(machine)}:
            # Of a machine that is gone not everybody may know: whoever is told that
            # there is something to read asks for it, and sees what they may.
            told = said if machine else {"alert": alert, "machine": ""}
            return News(alert, machine, orjson.dumps(told))
    raise BadMessage("not the news of an alert")
