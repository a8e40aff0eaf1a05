"""Moments as people and programs write them in an address."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

# What the API's description shows, and what a client's generator may use.
PATTERN = (
    r"^(now|-[0-9]{1,9}[smhdw]|[0-9]{1,18}(\.[0-9]{1,6})?"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.,]{2,15}(Z|[+ -][0-9:]{2,8})?)?)$"
)

_RELATIVE = re.compile(r"-([0-9]{1,9})([smhdw])")
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

# Before computers had clocks, and after this one is gone.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

# In an address, + means a space: "…T08:00:00+01:00" arrives without it.
_LOST_PLUS = re.compile(r"(T\S+) (\d\d:?\d\d)$")


class BadMoment(ValueError):
    """The text is no moment; the message says what would be."""


def moment(text: str, *, now: datetime) -> datetime:
    """Read "now", "-90m", Unix seconds or ISO 8601 (without an offset: UTC).

    Raises BadMoment.
    """
    found = _read(text.strip(), now)
    if not EARLIEST <= found <= LATEST:
        raise BadMoment("It must lie between 1970 and 2200")
    return found


def _read(text: str, now: datetime) -> datetime:
    if text == "now":
        return now
    if relative := _RELATIVE.fullmatch(text):
        back_s = int(relative[1]) * _UNIT_S[relative[2]]
        # "A very long time ago" is meant as it is said.
        furthest_s = (now - EARLIEST).total_seconds()
        return now - timedelta(seconds=min(back_s, furthest_s))
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        if seconds > LATEST.timestamp():
            raise BadMoment("It must be in Unix seconds; these look like milliseconds")
        return datetime.fromtimestamp(seconds, UTC)
    try:
        found = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", text))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadMoment(
            "It must be ISO 8601 (2026-11-20T08:00:00Z), Unix seconds, now, "
            "or a span before now (-90m, -6h, -7d)"
        ) from None
