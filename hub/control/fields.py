"""What can be settled about an agent, and within which bounds.

`wanted` is a mapping by these names; what is absent is left to a wider scope, and
at last to the agent itself. The agent checks all of it once more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sysmonstm_proto import limits

Wanted = Mapping[str, Any]

SKIPS = {
    "skip_mounts": "mounts",
    "skip_devices": "devices",
    "skip_interfaces": "interfaces",
}
# Put together name by name, where others are replaced as a whole.
MAPPINGS = ("collectors", "labels")
FLAGS = {
    "ring_off": "Whether the list of busy processes is off",
    "ring_hide_arguments": "Whether arguments are hidden",
}
TITLES = {
    "interval_s": "Interval",
    "collectors": "Collectors",
    "skip_mounts": "Mounts to skip",
    "skip_devices": "Devices to skip",
    "skip_interfaces": "Interfaces to skip",
    "ring_off": "Busy processes",
    "ring_hide_arguments": "Command lines",
    "ring_entries": "Processes kept",
    "labels": "Labels",
}

MAX_COLLECTORS = 64
COLLECTOR = re.compile(r"[a-z][a-z0-9_]{0,63}")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


def faults(wanted: Wanted) -> dict[str, str]:
    """Return a sentence for each field that cannot be; empty = all is well."""
    found = {
        name: f"There is no setting “{name[:40]}”." for name in wanted.keys() - TITLES
    }
    for name in TITLES.keys() & wanted.keys():
        if sentence := _CHECKS[name](name, wanted[name]):
            found[name] = sentence
    return found


def _interval(name: str, value: Any) -> str:
    least, most = limits.MIN_INTERVAL_S, limits.MAX_INTERVAL_S
    if not _is_number(value) or not least <= value <= most:
        return f"The interval must be {least} to {most} seconds."
    return ""


def _entries(name: str, value: Any) -> str:
    most = limits.MAX_PROCESSES
    if type(value) is not int or not 1 <= value <= most:
        return f"Between 1 and {most} processes can be kept."
    return ""


def _flag(name: str, value: Any) -> str:
    return "" if isinstance(value, bool) else f"{FLAGS[name]} is yes or no."


def _collectors(name: str, value: Any) -> str:
    if not isinstance(value, dict) or len(value) > MAX_COLLECTORS:
        return f"At most {MAX_COLLECTORS} collectors can be named."
    for collector, on in value.items():
        if not COLLECTOR.fullmatch(str(collector)) or not isinstance(on, bool):
            return f"“{_short(collector)}” is no name of a collector."
    return ""


def _globs(name: str, value: Any) -> str:
    kind = SKIPS[name]
    if not isinstance(value, list) or len(value) > limits.MAX_SKIPS:
        return f"At most {limits.MAX_SKIPS} {kind} can be named."
    for glob in value:
        if trouble := _trouble(name, glob):
            return f"“{_short(glob)}” {trouble}."
    return ""


def _trouble(name: str, glob: Any) -> str:
    if not isinstance(glob, str) or not glob:
        return "is empty"
    if _too_long(glob):
        return f"is longer than {limits.MAX_TEXT_BYTES} bytes"
    if not glob.isprintable() or "\\" in glob or "://" in glob:
        return "is no name with * and ?"
    if ".." in glob.split("/"):
        return "is no name: .. leads elsewhere"
    if name == "skip_mounts" and glob[0] not in "/*":
        return "is no mount: it begins with / or *"
    if name == "skip_devices" and (glob[0] == "/" or "//" in glob):
        return "is no device: write sda, not /dev/sda"
    if name == "skip_interfaces" and "/" in glob:
        return "is no name of an interface"
    return ""


def _labels(name: str, value: Any) -> str:
    if not isinstance(value, dict) or len(value) > limits.MAX_LABELS:
        return f"There can be at most {limits.MAX_LABELS} labels."
    for label, text in value.items():
        if not LABEL.fullmatch(str(label)) or _too_long(str(label)):
            return (
                f"“{_short(label)}” is no name of a label: letters, digits and . _ / -"
            )
        if not isinstance(text, str) or not text.isprintable() or _too_long(text):
            return (
                f"The text of “{_short(label)}” must be one line of at most "
                f"{limits.MAX_TEXT_BYTES} bytes."
            )
    return ""


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _too_long(text: str) -> bool:
    return len(text.encode("utf-8", "replace")) > limits.MAX_TEXT_BYTES


def _short(text: Any) -> str:
    return str(text)[:60]


_CHECKS: Mapping[str, Callable[[str, Any], str]] = {
    "interval_s": _interval,
    "collectors": _collectors,
    "skip_mounts": _globs,
    "skip_devices": _globs,
    "skip_interfaces": _globs,
    "ring_off": _flag,
    "ring_hide_arguments": _flag,
    "ring_entries": _entries,
    "labels": _labels,
}


def text(name: str, value: Any) -> str:
    """Say a value for people."""
    if value is None:
        return "as the agent has it"
    if name == "interval_s":
        return f"{value:g}\u00a0s"
    if name == "ring_off":
        return "not watched" if value else "watched"
    if name == "ring_hide_arguments":
        return "names only" if value else "with their arguments, secrets masked"
    if name.startswith("collectors"):
        return _switched(value) if isinstance(value, dict) else "on" if value else "off"
    if name == "labels":
        return _listed(f"{key}={value[key]}" for key in sorted(value))
    return _listed(value) if isinstance(value, list) else str(value)


def _switched(value: Mapping[str, bool]) -> str:
    return _listed(f"{name} {'on' if value[name] else 'off'}" for name in sorted(value))


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"


def summary(wanted: Wanted) -> str:
    """Say all of it in one line, for whoever reads what was changed."""
    said = [f"{TITLES[name]}: {text(name, wanted[name])}" for name in sorted(wanted)]
    return "; ".join(said) or "nothing"
