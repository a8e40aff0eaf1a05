"""Spans of the week, by somebody's clock: quiet hours, duty hours, maintenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEK = frozenset(range(7))
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Hours:
    """A span of the days of a week; 22:00-07:00 runs past midnight.

    A span belongs to the day on which it begins. Equal ends mean the whole day.
    """

    start: time
    end: time
    zone: str = "UTC"
    # Monday is 0.
    days: frozenset[int] = WEEK

    def covers(self, at: datetime) -> bool:
        return self.until(at) is not None

    def until(self, at: datetime) -> datetime | None:
        """Return when the span that covers `at` ends, or None outside of it.

        Spans that meet are one: quiet on Saturday and Sunday ends on Monday.
        """
        end = self._end(at)
        for _ in self.days:
            following = None if end is None else self._end(end)
            if following is None:
                break
            end = following
        return end

    def _end(self, at: datetime) -> datetime | None:
        today = at.astimezone(ZoneInfo(self.zone)).date()
        for first in (today - DAY, today):
            start, end = self._span(first)
            if first.weekday() in self.days and start <= at < end:
                return end
        return None

    def _span(self, first: date) -> tuple[datetime, datetime]:
        last = first if self.start < self.end else first + DAY
        return self._moment(first, self.start), self._moment(last, self.end)

    def _moment(self, day: date, clock: time) -> datetime:
        # Through UTC: an hour that a clock change skips or repeats has a place there.
        local = datetime.combine(day, clock, ZoneInfo(self.zone))
        return local.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A span that comes once."""

    start: datetime
    end: datetime

    def until(self, at: datetime) -> datetime | None:
        return self.end if self.start <= at < self.end else None


@dataclass(frozen=True, slots=True)
class Repeated:
    """A span of any length up to a week that comes back at a time of day."""

    start: time
    length: timedelta
    zone: str = "UTC"
    days: frozenset[int] = WEEK

    def until(self, at: datetime) -> datetime | None:
        """Return the latest end of the spans that cover `at`, or None."""
        today = at.astimezone(ZoneInfo(self.zone)).date()
        ends = []
        for back in range(self.length.days + 2):
            first = today - back * DAY
            if first.weekday() not in self.days:
                continue
            local = datetime.combine(first, self.start, ZoneInfo(self.zone))
            start = local.astimezone(UTC)
            if start <= at < start + self.length:
                ends.append(start + self.length)
        return max(ends, default=None)


def days_of(names: Sequence[int]) -> frozenset[int]:
    """Return the days that were chosen; none chosen means every day."""
    return frozenset(names) & WEEK or WEEK
