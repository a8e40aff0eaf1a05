"""Every machine's newest values in Prometheus' text format, family by family.

A family's lines must stand together, so each machine's vector is written once as
text and its pieces are dealt out. Of a machine that is offline nothing but that is
told: old values would look like new ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import orjson
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from hub.health import naming
from hub.machines.models import Machine
from hub.machines.presence import Presence, presence
from hub.machines.registry import visible_to
from hub.storage import layouts, states
from hub.storage.database import guard
from hub.storage.layouts import LayoutInfo, UnknownLayout
from hub.storage.sample import StoredSample

# A piece of the answer: big enough for few turns, small enough for little memory.
PIECE_BYTES = 256 * 1024

NO_READING = b"null"


@dataclass(slots=True)
class Family:
    kind: str
    help: str
    # What stands before and after the machine's name, and the place in a vector.
    lines: dict[int, list[tuple[bytes, int]]] = field(default_factory=dict)


@dataclass(slots=True)
class Heard:
    """A machine and its newest sample, as text."""

    machine: Machine
    # `{machine="web-1"`: what every line of it has after the family's name.
    opening: bytes
    presence: Presence
    seen_s: float | None
    layout: int = 0
    values: Sequence[bytes] = ()


def pieces(user: AbstractBaseUser | AnonymousUser) -> Iterator[bytes]:
    """Yield the answer. Blocking; raises DatabaseDown before the first piece."""
    heard = read(user)
    used = {one.layout for one in heard if one.layout}
    yield from _together(_everything(heard, families(layouts.get(n) for n in used)))


def read(user: AbstractBaseUser | AnonymousUser) -> list[Heard]:
    """Return the machines that somebody may see, with what they say now."""
    with guard():
        machines = list(visible_to(user).order_by("machine_id"))
    samples = states.latest(machines)
    now_ms = time.time_ns() // 1_000_000
    return [_heard(machine, samples.get(machine.pk), now_ms) for machine in machines]


def families(known: Iterable[LayoutInfo]) -> dict[str, Family]:
    """Sort the series of these layouts by what they are called in Prometheus."""
    found: dict[str, Family] = {}
    for layout in known:
        taken = set()
        for place, series in enumerate(layout.series):
            name = naming.metric_name(series.metric, series.unit, series.kind)
            labels = naming.labels(series.attributes)
            # Two names may become one; a second line of it would void the scrape.
            if (name, labels) in taken:
                continue
            taken.add((name, labels))
            family = found.setdefault(name, Family(series.kind, series.help))
            rest = f"{labels}}} ".encode()
            family.lines.setdefault(layout.id, []).append((rest, place))
    return found


def _heard(machine: Machine, sample: StoredSample | None, now_ms: int) -> Heard:
    seen_ms = sample.received_ms if sample else None
    state = presence(
        seen_ms=seen_ms,
        now_ms=now_ms,
        interval_s=machine.interval_s,
        left_at=machine.left_at,
    )
    heard = Heard(
        machine,
        f'{{machine="{naming.escaped(machine.machine_id)}"'.encode(),
        state,
        None if seen_ms is None else seen_ms / 1000,
    )
    if sample and state in (Presence.ONLINE, Presence.STALE) and _fits(sample):
        vector = np.frombuffer(sample.values, "<f4")
        text = orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY)
        heard.layout, heard.values = sample.layout, text[1:-1].split(b",")
    return heard


def _fits(sample: StoredSample) -> bool:
    """Tell whether the sample's places mean something.

    Hot state outlives a database that is replaced under it, for five minutes.
    """
    try:
        layout = layouts.get(sample.layout)
    except UnknownLayout:
        return False
    return 0 < 4 * len(layout.series) == len(sample.values)


def _everything(
    heard: Sequence[Heard], known: Mapping[str, Family]
) -> Iterator[list[bytes]]:
    yield from _about(heard)
    for name, family in sorted(known.items()):
        kind = "counter" if family.kind == "counter" else "gauge"
        lines = [_head(name, kind, family.help)]
        start = name.encode()
        for one in heard:
            opening = start + one.opening
            values = one.values
            for rest, place in family.lines.get(one.layout, ()):
                if (value := values[place]) != NO_READING:
                    lines.append(opening + rest + value + b"\n")
        if len(lines) > 1:
            yield lines


def _about(heard: Sequence[Heard]) -> Iterator[list[bytes]]:
    name = "sysmonstm_machine_up"
    help_ = "1 while the hub hears the machine, 0 when it does not."
    yield [
        _head(name, "gauge", help_),
        *(
            b"%b%b} %d\n" % (name.encode(), one.opening, one.presence == "online")
            for one in heard
        ),
    ]
    name = "sysmonstm_machine_last_seen_timestamp_seconds"
    help_ = "When its last sample arrived, by the hub's clock."
    yield [
        _head(name, "gauge", help_),
        *(
            b"%b%b} %.3f\n" % (name.encode(), one.opening, one.seen_s)
            for one in heard
            if one.seen_s is not None
        ),
    ]
    name = "sysmonstm_machine_info"
    help_ = "What the machine is."
    yield [
        _head(name, "gauge", help_),
        *(
            b"%b%b%b} 1\n" % (name.encode(), one.opening, _facts(one.machine))
            for one in heard
        ),
    ]


def _facts(machine: Machine) -> bytes:
    facts = {
        "title": machine.title,
        "os": machine.os,
        "kernel": machine.kernel,
        "architecture": machine.architecture,
        "agent_version": machine.agent_version,
    }
    return naming.labels(facts.items()).encode()


def _head(name: str, kind: str, text: str) -> bytes:
    said = naming.help_text(text) or name
    return f"# HELP {name} {said}\n# TYPE {name} {kind}\n".encode()


def _together(families_: Iterable[list[bytes]]) -> Iterator[bytes]:
    piece, size = [], 0
    for lines in families_:
        text = b"".join(lines)
        piece.append(text)
        size += len(text)
        if size >= PIECE_BYTES:
            yield b"".join(piece)
            piece, size = [], 0
    yield b"".join(piece)
