"""Default, tags and machine become one: the later overrides the earlier by field."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sysmonstm_proto import metrics_pb2 as pb

from hub.control.fields import MAPPINGS, SKIPS, Wanted


@dataclass(frozen=True, slots=True)
class Layer:
    """What one scope wants; `title` is how people know it."""

    title: str
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Merged:
    wanted: dict[str, Any] = field(default_factory=dict)
    # Of each field, and of each name within a mapping ("collectors.disk"): whose
    # word it is.
    origins: dict[str, str] = field(default_factory=dict)


def merge(layers: Iterable[Layer]) -> Merged:
    """Put layers together, the widest first."""
    merged = Merged()
    for layer in layers:
        for name, value in layer.wanted.items():
            if name in MAPPINGS:
                merged.wanted[name] = merged.wanted.get(name, {}) | value
                for key in value:
                    merged.origins[f"{name}.{key}"] = layer.title
            else:
                merged.wanted[name] = value
            merged.origins[name] = layer.title
    return merged


def message(wanted: Wanted, version: int) -> pb.AgentConfig:
    """Return what travels to the agent."""
    return pb.AgentConfig(
        version=version,
        interval_ms=round(wanted.get("interval_s", 0) * 1000),
        collectors=wanted.get("collectors", {}),
        **{name: wanted.get(name, []) for name in SKIPS},
        processes=pb.ProcessRing(
            off=wanted.get("ring_off", False),
            hide_arguments=wanted.get("ring_hide_arguments", False),
            entries=wanted.get("ring_entries", 0),
        ),
        labels=wanted.get("labels", {}),
    )
