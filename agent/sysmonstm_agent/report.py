"""One sample, for a person or a program, without a hub."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime
from typing import Any

from sysmonstm_agent.config import Config
from sysmonstm_agent.files import Files
from sysmonstm_agent.metric import Reading
from sysmonstm_agent.registry import collectors
from sysmonstm_agent.sampler import Sampler

# Rates need two readings.
APART_S = 1.0
# Where the agent's readings of itself begin.
OWN = "sysmonstm."


def once(config: Config, *, as_json: bool) -> str:
    files = Files(config.proc_root, config.sys_root)
    sampler = Sampler(collectors(files, sources=config.sources))
    sampler.readings()
    time.sleep(APART_S)
    readings = sampler.readings()
    now = datetime.now(UTC)
    if as_json:
        return json.dumps(document(config.machine_id, now, readings), indent=2)
    return table(config.machine_id, now, readings)


def document(machine_id: str, now: datetime, readings: list[Reading]) -> dict[str, Any]:
    """Return what --json prints; a series without a number is null."""
    return {
        "machine_id": machine_id,
        "time": now.isoformat(timespec="milliseconds"),
        "readings": [
            {
                "metric": metric.name,
                "unit": metric.unit,
                "kind": metric.kind,
                "attributes": dict(attributes),
                "value": value if math.isfinite(value) else None,
            }
            for metric, value, attributes in readings
        ],
    }


def table(machine_id: str, now: datetime, readings: list[Reading]) -> str:
    """Return the readings by metric, the agent's own last, numbers aligned."""
    groups: dict[str, list[Reading]] = {}
    for reading in readings:
        groups.setdefault(reading.metric.name, []).append(reading)
    names = sorted(groups, key=lambda name: name.startswith(OWN))

    rows: list[tuple[str, str, str]] = []
    for name in names:
        if groups[name][0].attributes:
            rows.append((name, "", ""))
        rows += [(label(reading), *humanise(reading)) for reading in groups[name]]
    left = max(len(text) for text, _, _ in rows)
    middle = max(len(number) for _, number, _ in rows)
    lines = [f"{a:<{left}}  {b:>{middle}} {c}".rstrip() for a, b, c in rows]
    return "\n".join([f"{machine_id}, {now.astimezone():%Y-%m-%d %H:%M:%S %Z}", *lines])


def label(reading: Reading) -> str:
    if not reading.attributes:
        return reading.metric.name
    # "system.filesystem.mountpoint" says under its metric no more than its end.
    pairs = (f"{k.rpartition('.')[2]}={v}" for k, v in reading.attributes.items())
    text = "  " + " ".join(pairs)
    # Names of files may hold what would garble a terminal.
    return "".join(c if c.isprintable() else "?" for c in text)


def humanise(reading: Reading) -> tuple[str, str]:
    """Return the number and its unit as people read them."""
    unit, value = reading.metric.unit, reading.value
    if not math.isfinite(value):
        return "-", ""
    if unit in ("By", "By/s"):
        return binary(value, suffix=unit.removeprefix("By"))
    if unit == "s":
        return duration(value)
    if unit == "1" and not reading.metric.name.startswith(OWN):
        return f"{value * 100:.1f}", "%"
    if unit == "Cel":
        return f"{value:.1f}", "°C"
    number = f"{value:.0f}" if float(value).is_integer() else f"{value:.2f}"
    return number, unit.replace("{", "").replace("}", "").removeprefix("1")


def binary(value: float, *, suffix: str) -> tuple[str, str]:
    for prefix in ("", "Ki", "Mi", "Gi"):
        if value < 1024:
            return f"{value:.1f}" if prefix else f"{value:.0f}", f"{prefix}B{suffix}"
        value /= 1024
    return f"{value:.1f}", f"TiB{suffix}"


def duration(value: float) -> tuple[str, str]:
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if value >= seconds:
            return f"{value / seconds:.1f}", unit
    return f"{value * 1000:.2f}", "ms"
