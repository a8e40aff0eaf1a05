"""What an agent answered, arranged for people."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sysmonstm_proto import metrics_pb2 as pb

from hub.control.fields import text
from hub.machines.models import Machine
from hub.web.templatetags import units

MAX_READINGS = 200

Pairs = list[tuple[str, str]]


def ping(machine: Machine, told: pb.ControlAnswer, took_s: float) -> Mapping[str, Any]:
    clock_s = told.pong.clock_unix_ms / 1000 - (time.time() - took_s / 2)
    pairs: Pairs = [
        ("There and back", units.duration(took_s)),
        ("Its clock", _clock(clock_s)),
    ]
    return {"pairs": pairs}


def diagnostics(
    machine: Machine, told: pb.ControlAnswer, took_s: float
) -> Mapping[str, Any]:
    found = told.diagnostics
    share = found.cpu_s / found.uptime_s if found.uptime_s > 0 else None
    pairs: Pairs = [
        ("Version", found.agent_version),
        ("Python", found.python_version),
        ("Running for", units.duration(found.uptime_s)),
        ("Processor", f"{_percent(share)} of a core"),
        ("Memory", units.size(found.memory_bytes)),
        ("Spool", units.size(found.account.spool_bytes)),
        ("Samples produced", units.count(found.account.produced)),
        ("Samples evicted", units.count(found.account.evicted)),
        ("Settings", f"version {found.config.version}"),
    ]
    if found.config.interval_ms:
        pairs.append(("Interval", text("interval_s", found.config.interval_ms / 1000)))
    return {
        "pairs": pairs,
        "problem": found.account.degraded,
        "head": ("Collector", "Takes", "Last failure"),
        "rows": [
            (
                one.name,
                _took(one.on, one.duration_s),
                one.failure or ("" if one.on else "switched off"),
            )
            for one in found.collectors
        ],
    }


def connections(
    machine: Machine, told: pb.ControlAnswer, took_s: float
) -> Mapping[str, Any]:
    counts = sorted(
        told.connections.counts, key=lambda one: (-one.count, one.protocol, one.state)
    )
    if not counts:
        return {"note": "There are no connections."}
    return {
        "head": ("Protocol", "How many", "State"),
        "rows": [
            (one.protocol, units.count(one.count), one.state.replace("_", " ").lower())
            for one in counts
        ],
    }


def collected(
    machine: Machine, told: pb.ControlAnswer, took_s: float
) -> Mapping[str, Any]:
    # Of the machine first, then of the agent itself.
    readings = sorted(
        told.collected.readings,
        key=lambda one: one.metric.name.startswith("sysmonstm."),
    )
    return {
        "note": f"{len(readings)} readings in {units.duration(took_s)}; not stored."
        + (f" The first {MAX_READINGS} are:" if len(readings) > MAX_READINGS else ""),
        "head": ("Metric", "Value", "Of"),
        "rows": [
            (
                one.metric.name,
                units.join(units.parts(one.value, one.metric.unit)),
                ", ".join(one.attributes[name] for name in sorted(one.attributes)),
            )
            for one in readings[:MAX_READINGS]
        ],
    }


def _took(on: bool, duration_s: float) -> str:
    return units.duration(duration_s) if on and duration_s else "–"  # noqa: RUF001 - the dash people know for "no reading"


def _percent(share: float | None) -> str:
    if share is None:
        return units.NOTHING[0]
    # An agent costs less than what one decimal tells.
    return f"{share * 100:.2f}\u00a0%"


def _clock(ahead_s: float) -> str:
    if abs(ahead_s) < 1:
        return "right to a second"
    side = "ahead" if ahead_s > 0 else "behind"
    return f"{units.duration(abs(ahead_s))} {side}"
