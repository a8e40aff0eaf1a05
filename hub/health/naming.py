"""What a metric is called in Prometheus: OpenTelemetry's rules for the change.

`system.filesystem.usage` in "By" becomes `sysmonstm_system_filesystem_usage_bytes`.
See https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

from __future__ import annotations

import re
from collections.abc import Iterable

PREFIX = "sysmonstm_"

# UCUM → the base units' names. Per second is said below.
_UNITS = {
    "1": "ratio",
    "By": "bytes",
    "s": "seconds",
    "ms": "milliseconds",
    "Cel": "celsius",
    "Hz": "hertz",
    "V": "volts",
    "W": "watts",
    "J": "joules",
    "A": "amperes",
    "%": "percent",
    # Flags of our own: 0 or 1.
    "good": "",
    "bad": "",
}
# Histograms' own endings: Prometheus would take a gauge of that name for one.
_RESERVED = {"_count": "_number", "_sum": "_amount", "_bucket": "_buckets"}
_OTHERS = re.compile(r"[^a-zA-Z0-9_]+")
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


def metric_name(name: str, unit: str, kind: str) -> str:
    """Return the name with its unit, and `_total` for what only grows."""
    words = _word(name).lower()
    if not words.startswith(PREFIX):
        words = PREFIX + words
    suffixes = [_unit(unit), "total" if kind == "counter" else ""]
    for suffix in filter(None, suffixes):
        if not words.endswith(f"_{suffix}"):
            words = f"{words}_{suffix}"
    for reserved, instead in _RESERVED.items():
        if words.endswith(reserved):
            words = words.removesuffix(reserved) + instead
    return words


def labels(attributes: Iterable[tuple[str, str]]) -> str:
    """Return `,name="value"` for each attribute.

    `machine` is ours. Names that become the same one are put together, as
    OpenTelemetry does it: no value is lost, and no label comes twice.
    """
    found: dict[str, str] = {}
    for key, value in attributes:
        name = _word(key)
        if name[:1].isdigit() or name.startswith("__"):
            name = f"key_{name.lstrip('_')}"
        if name in ("machine", ""):
            name = f"attribute_{name}".rstrip("_")
        found[name] = f"{found[name]};{value}" if name in found else value
    return "".join(f',{name}="{escaped(value)}"' for name, value in found.items())


def escaped(value: str) -> str:
    """Return a label's value as it stands between quotes."""
    return value.translate(_ESCAPES)


def help_text(text: str) -> str:
    return text.translate(_HELP_ESCAPES)


def _unit(unit: str) -> str:
    if unit in _UNITS:
        return _UNITS[unit]
    amount, slash, per = unit.partition("/")
    if slash and per == "s":
        counted = "" if amount.startswith("{") else _unit(amount)
        return f"{counted}_per_second".lstrip("_")
    # {process}: a count says what it counts in its name.
    return "" if unit.startswith("{") else _word(unit).strip("_").lower()


def _word(text: str) -> str:
    return _OTHERS.sub("_", text)
