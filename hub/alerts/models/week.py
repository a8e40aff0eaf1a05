"""Fields that say when: days of the week, a clock, whose clock it is."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError

DAYS = {
    0: "Monday",
    1: "Tuesday",
    2: "Wednesday",
    3: "Thursday",
    4: "Friday",
    5: "Saturday",
    6: "Sunday",
}


def check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValidationError(
            f"“{name}” is not a time zone. Write it like Europe/Berlin, or UTC."
        ) from error


def check_days(days: object) -> None:
    if not isinstance(days, list) or any(day not in DAYS for day in days):
        raise ValidationError("Days are numbers from 0 (Monday) to 6 (Sunday).")


def check_pair(start: object, end: object, what: str) -> None:
    """Refuse a span with one end."""
    if (start is None) is not (end is None):
        raise ValidationError(f"{what} need both a beginning and an end, or neither.")
