"""Numbers as people read them. `static/js/units.js` says the same.

`tests/units.json` holds both to one table. Ratios become percent here and
nowhere else. Sizes are binary (GiB), rates decimal (MB/s); a number has one
decimal below ten and none above; number and unit never part at a line's end.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from django import template

register = template.Library()

NOTHING = ("–", "")  # noqa: RUF001 - the dash people know for "no reading"
BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
DECIMAL = ("B/s", "kB/s", "MB/s", "GB/s", "TB/s")
# Units of our own, for what is a word and no number; the words for 0, 1, …
WORDS = {
    "good": ("no", "yes"),
    "bad": ("yes", "no"),
    "failed": ("well again", "failed"),
    "container": (
        *("running", "paused", "restarting", "created"),
        *("exited", "being removed", "dead", "unknown"),
    ),
}
# Below this an age is "just now": a page that counts every second is not calm.
JUST_NOW_S = 10


def join(parts: tuple[str, str]) -> str:
    number, unit = parts
    return f"{number}\u00a0{unit}" if unit else number


def percent_parts(ratio: float | None) -> tuple[str, str]:
    if ratio is None or not math.isfinite(ratio):
        return NOTHING
    return _short(ratio * 100), "%"


def bytes_parts(size: float | None) -> tuple[str, str]:
    return _scaled(size, 1024, BINARY)


def rate_parts(per_second: float | None) -> tuple[str, str]:
    return _scaled(per_second, 1000, DECIMAL)


def number_parts(value: float | None, unit: str = "") -> tuple[str, str]:
    if value is None or not math.isfinite(value):
        return NOTHING
    return _short(value), unit


def count_parts(value: float | None) -> tuple[str, str]:
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{math.floor(value + 0.5):,}", ""


def duration_parts(seconds: float | None) -> tuple[str, str]:
    """Return the two largest units: "3 d 4 h", "12 min", "45 s"."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if 0 < seconds < 1:
        return _short(seconds * 1000), "ms"
    whole = max(0, math.floor(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        rest = hours % 24
        return (f"{days}\u00a0d\u00a0{rest}" if rest else str(days)), (
            "h" if rest else "d"
        )
    if hours:
        rest = minutes % 60
        return (f"{hours}\u00a0h\u00a0{rest}" if rest else str(hours)), (
            "min" if rest else "h"
        )
    return (str(minutes), "min") if minutes else (str(whole), "s")


def parts(value: float | None, unit: str) -> tuple[str, str]:
    """Return a reading in its unit (UCUM) as number and unit for people."""
    if unit == "1":
        return percent_parts(value)
    if unit == "By":
        return bytes_parts(value)
    if unit == "By/s":
        return rate_parts(value)
    if unit == "s":
        return duration_parts(value)
    if unit in WORDS:
        return NOTHING if value is None else (word(value, unit), "")
    if unit == "core":  # ours too: 1 = one core, and as top says it
        return percent_parts(value)
    if unit == "Cel":
        return number_parts(value, "°C")
    if unit.endswith("}/s"):
        return number_parts(value, "/s")
    if unit == "{thread}":  # a load average: not a whole number
        return number_parts(value)
    if unit.startswith("{"):
        return count_parts(value)
    return number_parts(value, unit)


def word(value: float, unit: str) -> str:
    words = WORDS[unit]
    place = math.ceil(value) if math.isfinite(value) else 0
    return words[min(max(place, 0), len(words) - 1)]


@register.filter
def percent(ratio: float | None) -> str:
    return join(percent_parts(ratio))


@register.filter
def size(value: float | None) -> str:
    return join(bytes_parts(value))


@register.filter
def rate(value: float | None) -> str:
    return join(rate_parts(value))


@register.filter
def number(value: float | None) -> str:
    return join(number_parts(value))


@register.filter
def count(value: float | None) -> str:
    return join(count_parts(value))


@register.filter
def duration(seconds: float | None) -> str:
    return join(duration_parts(seconds))


@register.filter
def ago(age_s: float | None) -> str:
    """Return an age as "just now", "12 s ago", "3 min ago", "2 h ago"."""
    if age_s is None or not math.isfinite(age_s):
        return "never"
    whole = math.floor(age_s)
    if whole < JUST_NOW_S:
        return "just now"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= length:
            return f"{whole // length}\u00a0{unit}\u00a0ago"
    return f"{whole}\u00a0s\u00a0ago"


@register.filter
def since(at: datetime, now: datetime) -> str:
    """Return how long ago a moment was; see `ago`."""
    return ago((now - at).total_seconds())


@register.filter
def moment(ms: int | None) -> str:
    """Return the exact moment in ISO 8601, for a `time` element; "" = none at all."""
    if ms is None:
        return ""
    try:
        at = datetime.fromtimestamp(ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        # Agents may say anything, also years that no calendar has.
        return ""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _scaled(value: float | None, step: int, names: tuple[str, ...]) -> tuple[str, str]:
    if value is None or not math.isfinite(value):
        return NOTHING
    power = 0
    # 999.5 would be written 1000: it belongs to the next unit.
    while abs(value) >= (step - 0.5 if step == 1024 else 999.5) and power + 1 < len(
        names
    ):
        value /= step
        power += 1
    return (_whole(value) if power == 0 else _short(value)), names[power]


def _short(value: float) -> str:
    """Round half up, one decimal below ten: both languages must agree."""
    sign = "\u2212" if value <= -0.05 else ""
    value = abs(value)
    tenths = math.floor(value * 10 + 0.5)
    if tenths >= 100 or tenths == 0:
        return sign + _whole(value)
    return f"{sign}{tenths // 10}.{tenths % 10}"


def _whole(value: float) -> str:
    return str(math.floor(value + 0.5))
