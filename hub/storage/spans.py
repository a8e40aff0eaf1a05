"""Which tier answers for which part of a window; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from hub.storage.models import Watermark
from hub.storage.tiers import HOUR, MINUTE, RAW, Tier

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch that one tier answers for."""

    tier: Tier
    start: datetime
    end: datetime


def parts(
    start: datetime, end: datetime, step_s: float, marks: Mapping[str, Watermark]
) -> list[Part]:
    """Return [start, end) by tiers: the coarsest that is fine enough for the step.

    Where that has expired, a coarser one; what it does not have yet, a finer one.
    Borders lie where rows of both sides begin, so nothing is told twice.
    """
    minute, hour = marks[MINUTE.name], marks[HOUR.name]
    if step_s < MINUTE.width.total_seconds():
        from_minute, from_raw = minute.since, marks[RAW.name].since
    elif step_s < HOUR.width.total_seconds():
        from_minute, from_raw = minute.since, minute.until
    else:
        from_minute, from_raw = hour.until, minute.until
    last = from_raw or _NEVER
    first = min(from_minute or _NEVER, last)
    found = (
        Part(HOUR, start, min(first, end)),
        Part(MINUTE, max(start, first), min(last, end)),
        Part(RAW, max(start, last), end),
    )
    return [part for part in found if part.start < part.end]


def coarsest(found: list[Part]) -> Tier:
    """Return the tier of the widest rows; they come first."""
    return found[0].tier if found else RAW
