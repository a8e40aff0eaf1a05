"""What the hub may settle about an agent: a closed list, each within its bounds.

Nothing here names a file to be read or a program to be run. Globs are compared
with names that the agent has found by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from typing import TYPE_CHECKING

from sysmonstm_proto import limits

# Measuring without a hub does without protobuf.
if TYPE_CHECKING:
    from sysmonstm_proto import metrics_pb2 as pb

# What a report may hold.
MAX_REFUSED = 32
# Of somebody's text within a sentence.
MAX_QUOTED = 60

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


@dataclass(frozen=True, slots=True)
class Settings:
    """None, or a collector that is not named: as the agent has it by itself."""

    interval_s: float | None = None
    collectors: Mapping[str, bool] = field(default_factory=dict)
    # Globs: see `matcher`.
    skip_mounts: tuple[str, ...] = ()
    skip_devices: tuple[str, ...] = ()
    skip_interfaces: tuple[str, ...] = ()
    ring_off: bool = False
    hide_arguments: bool = False
    ring_entries: int = limits.MAX_PROCESSES
    labels: Mapping[str, str] = field(default_factory=dict)
    version: int = 0

    def message(self) -> pb.AgentConfig:
        """Return them as the hub would send them."""
        from sysmonstm_proto import metrics_pb2 as pb

        return pb.AgentConfig(
            version=self.version,
            interval_ms=round((self.interval_s or 0) * 1000),
            collectors=self.collectors,
            skip_mounts=self.skip_mounts,
            skip_devices=self.skip_devices,
            skip_interfaces=self.skip_interfaces,
            processes=pb.ProcessRing(
                off=self.ring_off,
                hide_arguments=self.hide_arguments,
                entries=self.ring_entries,
            ),
            labels=self.labels,
        )


DEFAULT = Settings()


def read(message: pb.AgentConfig, known: Collection[str]) -> tuple[Settings, list[str]]:
    """Return what is accepted, and a sentence for each setting that is not.

    `known` are the collectors that this agent has. Never raises: whatever makes no
    sense is left as the agent has it by itself.
    """
    refused: list[str] = []
    settings = Settings(
        interval_s=_interval_s(message.interval_ms, refused),
        collectors=_collectors(message.collectors, known, refused),
        skip_mounts=_globs("mounts", message.skip_mounts, _no_mount, refused),
        skip_devices=_globs("devices", message.skip_devices, _no_device, refused),
        skip_interfaces=_globs(
            "interfaces", message.skip_interfaces, _no_interface, refused
        ),
        ring_off=message.processes.off,
        hide_arguments=message.processes.hide_arguments,
        ring_entries=_entries(message.processes.entries, refused),
        labels=_labels(message.labels, refused),
        version=message.version,
    )
    return settings, few(refused)


def concerned(before: Settings, now: Settings) -> set[str]:
    """Return the collectors that have to be made anew, since they measure others."""
    pairs = {
        "filesystem": (before.skip_mounts, now.skip_mounts),
        "disk": (before.skip_devices, now.skip_devices),
        "smart": (before.skip_devices, now.skip_devices),
        "network": (before.skip_interfaces, now.skip_interfaces),
    }
    return {name for name, (old, new) in pairs.items() if old != new}


def few(refused: list[str]) -> list[str]:
    """Return as many as a report may hold; the last one counts the rest."""
    if len(refused) <= MAX_REFUSED:
        return refused
    kept = refused[: MAX_REFUSED - 1]
    return [*kept, f"{len(refused) - len(kept)} more settings are refused."]


def matcher(globs: Iterable[str]) -> Callable[[str], bool]:
    """Return what tells whether a name is one of these.

    * stands for any characters, ? for one, all others for themselves. Compiled
    without backtracking: no glob makes it slow.
    """
    texts = [translate(glob.replace("[", "[[]")) for glob in globs]
    if not texts:
        return lambda name: False
    pattern = re.compile("|".join(texts))
    return lambda name: pattern.match(name) is not None


def _interval_s(interval_ms: int, refused: list[str]) -> float | None:
    if not interval_ms:
        return None
    if not limits.MIN_INTERVAL_S * 1000 <= interval_ms <= limits.MAX_INTERVAL_S * 1000:
        refused.append(
            f"The interval must be {limits.MIN_INTERVAL_S} to {limits.MAX_INTERVAL_S}"
            f" s, not {interval_ms / 1000:g} s."
        )
        return None
    return interval_ms / 1000


def _collectors(
    wanted: Mapping[str, bool], known: Collection[str], refused: list[str]
) -> dict[str, bool]:
    # What comes in no order is told in one.
    refused += [
        f"This agent has no collector {_quoted(name)}."
        for name in sorted(set(wanted) - set(known))
    ]
    kept = {name: wanted[name] for name in sorted(set(wanted) & set(known))}
    if kept and len(kept) == len(set(known)) and not any(kept.values()):
        # A sample of nothing is none, and no hub takes it.
        refused.append("At least one collector has to run; all of them stay on.")
        return {}
    return kept


def _globs(
    kind: str,
    globs: Iterable[str],
    trouble_of: Callable[[str], str],
    refused: list[str],
) -> tuple[str, ...]:
    kept: dict[str, None] = {}
    for glob in globs:
        if trouble := _no_glob(glob) or trouble_of(glob):
            refused.append(f"Of the {kind} to skip, {_quoted(glob)} {trouble}.")
        elif len(kept) == limits.MAX_SKIPS and glob not in kept:
            refused.append(f"Of the {kind} to skip, at most {limits.MAX_SKIPS} count.")
            break
        else:
            kept[glob] = None
    return tuple(kept)


def _no_glob(glob: str) -> str:
    if not glob:
        return "is empty"
    if len(glob.encode("utf-8", "replace")) > limits.MAX_TEXT_BYTES:
        return f"is longer than {limits.MAX_TEXT_BYTES} bytes"
    if not glob.isprintable():
        return "holds characters that cannot be seen"
    if "://" in glob or ".." in glob.split("/") or "\\" in glob:
        return "is no glob: names, * and ? make one"
    return ""


def _no_mount(glob: str) -> str:
    return "" if glob[0] in "/*" else "does not begin with / or *"


def _no_device(glob: str) -> str:
    # As the kernel names them, such as sda or cciss/c0d0: no path.
    return "is no name of a device" if glob[0] == "/" or "//" in glob else ""


def _no_interface(glob: str) -> str:
    return "is no name of an interface" if "/" in glob else ""


def _entries(wanted: int, refused: list[str]) -> int:
    if wanted > limits.MAX_PROCESSES:
        refused.append(
            f"A snapshot of processes has at most {limits.MAX_PROCESSES} entries,"
            f" not {wanted}."
        )
    return min(wanted or limits.MAX_PROCESSES, limits.MAX_PROCESSES)


def _labels(wanted: Mapping[str, str], refused: list[str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, text in sorted(wanted.items()):
        if len(name) > limits.MAX_TEXT_BYTES or not LABEL.fullmatch(name):
            refused.append(f"The label {_quoted(name)} has no proper name.")
        elif (
            len(text.encode("utf-8", "replace")) > limits.MAX_TEXT_BYTES
            or not text.isprintable()
        ):
            refused.append(f"The label {_quoted(name)} has no proper text.")
        elif len(kept) == limits.MAX_LABELS:
            refused.append(f"There may be at most {limits.MAX_LABELS} labels.")
            break
        else:
            kept[name] = text
    return kept


def _quoted(text: str) -> str:
    cut = text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"
    return "“" + "".join(c if c.isprintable() else "?" for c in cut) + "”"
