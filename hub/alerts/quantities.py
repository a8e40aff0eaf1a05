"""Amounts as people type them: `90 %`, `5 GiB`, `10 MB/s`, `5 min`.

Values are kept in the metric's own unit (UCUM); ratios are typed in percent, with
the sign, since 0.9 without one could be either.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

BINARY = {f"{p}iB": 1024.0**n for n, p in enumerate("KMGTP", 1)}
DECIMAL = {f"{p}B": 1000.0**n for n, p in enumerate("kMGTP", 1)}
SIZES = {"B": 1.0, **BINARY, **DECIMAL, "KB": 1000.0}
TIMES = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
TIMES |= {"sec": 1.0, "m": 60.0, "hour": 3600.0, "hours": 3600.0}
TIMES |= {"day": 86400.0, "days": 86400.0, "w": 604800.0}
DEGREES = {"°C": 1.0, "C": 1.0, "": 1.0}
PERCENT = {"%": 0.01}
HOUR_S = 3600

_AMOUNT = re.compile(r"([-+−]?\d[\d_ ]*(?:[.,]\d+)?|[-+−]?[.,]\d+)\s*(\S.*)?\Z")  # noqa: RUF001 - the sign that people copy
_PART = re.compile(r"(\d+(?:[.,]\d+)?)\s*([a-z]+)\s*")


class BadQuantity(ValueError):
    """What a person typed is not an amount of this unit; says why in a sentence."""


def parse(text: str, unit: str) -> float:
    """Return an amount in `unit`. Raises BadQuantity."""
    found = _AMOUNT.match(text.strip())
    if found is None:
        raise BadQuantity(f"“{text}” is not a number. {_hint(unit)}")
    number, said = _number(found[1]), (found[2] or "").strip()
    scales, per = _scales(unit)
    said, per_s = _per(said, per=per)
    if said not in scales:
        known = ", ".join(name for name in scales if name)
        if not said:
            raise BadQuantity(f"Write “{text}” with its unit. {_hint(unit)}")
        if not known:
            raise BadQuantity(
                f"This metric has no unit; write the number alone, not “{said}”."
            )
        raise BadQuantity(f"“{said}” is not a unit of this metric; it takes {known}.")
    value = number * scales[said] / per_s
    if not math.isfinite(value):
        raise BadQuantity(f"“{text}” is too large.")
    # 99.9 * 0.01 must not be 0.9990000000000001.
    return float(f"{value:.12g}")


def written(value: float | None, unit: str) -> str:
    """Return an amount as `parse` reads it."""
    if value is None:
        return ""
    if is_hourly(unit):
        return f"{written(value * HOUR_S, unit.removesuffix('/s'))}/h"
    if unit == "1":
        return f"{_plain(value * 100)} %"
    if unit in ("By", "By/s"):
        suffix = unit.removeprefix("By")
        number, name = _largest(value, BINARY if unit == "By" else DECIMAL, "B")
        return f"{number} {name}{suffix}"
    if unit == "s":
        return duration(value)
    return f"{_plain(value)} °C" if unit == "Cel" else _plain(value)


def shown(value: float | None, unit: str) -> str:
    """Return an amount for reading: three digits, in a fitting unit."""
    if value is None or not math.isfinite(value):
        return "–"  # noqa: RUF001 - the dash people know for "no reading"
    if unit == "s":
        return duration(round(value)) if value < 60 else duration(value // 60 * 60)
    if unit in ("By", "By/s"):
        scales = BINARY if unit == "By" else DECIMAL
        for name, scale in reversed(list(scales.items())):
            if abs(value) >= scale:
                return f"{_digits(value / scale)} {name}{unit.removeprefix('By')}"
        return f"{_digits(value)} B{unit.removeprefix('By')}"
    size = HOUR_S if is_hourly(unit) else 1
    return written(float(_digits(value * size)) / size, unit)


def seconds(text: str) -> float:
    """Read a duration: `5 min`, `1 h 30 min`, or seconds. Raises BadQuantity."""
    text = text.strip().lower()
    try:
        return _not_negative(_number(text), text)
    except ValueError:
        pass
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise BadQuantity(f"“{text}” is not a duration. Write it like 5 min or 2 h.")
    total = 0.0
    for part in parts:
        if part[2] not in TIMES:
            raise BadQuantity(
                f"“{part[2]}” is not a unit of time; write s, min, h or d."
            )
        total += _number(part[1]) * TIMES[part[2]]
    return total


def duration(value: float) -> str:
    """Return a duration as `seconds` reads it, in its largest whole units."""
    if value != int(value) or value < 60:
        return f"{_plain(value)} s"
    rest, parts = int(value), []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts)


def _scales(unit: str) -> tuple[Mapping[str, float], bool]:
    """Return the units that may be typed, and whether they are by time."""
    if unit == "By/s":
        return SIZES, True
    if unit == "By":
        return SIZES, False
    if unit.endswith("/s") and not unit.startswith("{"):
        return _scales(unit.removesuffix("/s"))[0], True
    if unit == "1":
        return PERCENT, False
    if unit == "s":
        return TIMES, False
    if unit == "Cel":
        return DEGREES, False
    return {"": 1.0, "/s": 1.0} if unit.endswith("/s") else {"": 1.0}, False


def _per(said: str, *, per: bool) -> tuple[str, float]:
    if not per or "/" not in said:
        return said, 1.0
    name, _, time = said.rpartition("/")
    if time.strip() not in TIMES:
        raise BadQuantity(f"“/{time}” is not by a time; write /s, /min, /h or /d.")
    return name.strip(), TIMES[time.strip()]


def is_hourly(unit: str) -> bool:
    """Tell of a rate that a filesystem fills by percent an hour, not a second."""
    return unit.endswith("/s") and unit != "By/s" and not unit.startswith("{")


def _largest(
    value: float, scales: Mapping[str, float], smallest: str
) -> tuple[str, str]:
    for name, scale in reversed(list(scales.items())):
        if abs(value) >= scale and len(_plain(value / scale)) <= 6:
            return _plain(value / scale), name
    return _plain(value), smallest


def _digits(value: float) -> str:
    return _plain(float(f"{value:.3g}"))


def _plain(value: float) -> str:
    text = f"{value:.10f}".rstrip("0").rstrip(".")
    return text if text not in ("-0", "") else "0"


def _number(text: str) -> float:
    return float(re.sub(r"[_ ]", "", text).replace(",", ".").replace("−", "-"))  # noqa: RUF001 - the sign that people copy


def _not_negative(value: float, text: str) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise BadQuantity(f"“{text}” is not a duration.")
    return value


def _hint(unit: str) -> str:
    examples = {
        "1": "90 %",
        "By": "5 GiB",
        "By/s": "10 MB/s",
        "s": "2 h",
        "Cel": "80 °C",
    }
    example = examples.get(unit) or ("5 %/h" if unit == "1/s" else "12")
    return f"Write it like {example}."
