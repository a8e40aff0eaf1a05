"""Will a series reach a limit, and when? Pure, and slow to believe it.

It looks at the last hours, and at the last days by the hour: new leaks show in the
one, fills under restless work in the other. In either, three things must agree:

    the slope    (Theil-Sen: the median of the slopes between all points), even at
                 the cautious end of its confidence interval
    the spread   the rise is spread over the whole time: a burst is not a trend
    the past     a rise like this in the days before, that came to nothing, is the
                 rhythm of the series (rotated logs, nightly jobs), until the value
                 leaves what it has been
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The recent hours: about 72 points; fewer than half of them say too little.
RECENT_S = 6 * 3600.0
RECENT_POINTS = 72
MIN_POINTS = RECENT_POINTS // 2
PAST_S = 7 * 86400.0
PAST_POINTS = 168
# Of those, what the slope of days is taken from.
DAYS_S = 2 * 86400.0
# Of a span, so much must be there.
COVERED = 0.8

# Of the normal distribution: 95 % of all steady noise is below.
SURE = 1.645
PARTS = 6
# All steps between the parts go the way of the slope, each by a fair share of what a
# step of an even rise would be (with one to spare, a copy of three hours passed) …
FAIR_STEP = 0.3
# … and no single step is more than this share of the whole rise.
MAX_STEP = 0.5
# How far beyond everything that was, in shares of the way to the limit, is new.
NEW_GROUND = 0.1


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one series: the recent hours, and the days as they were by the hour.

    Seconds and values, ascending in time, without NaN.
    """

    times_s: Floats
    values: Floats
    past_times_s: Floats
    past_values: Floats


@dataclass(frozen=True, slots=True)
class Slope:
    """By second, upward: the likely one, and the cautious end."""

    likely: float
    cautious: float


# Of the recent hours and of the days: whether `is_spread` says so.
Spread = tuple[bool, bool]


class Outlook:
    """What a series foretells, for any limit above it.

    Who has asked `are_spread` already says what it said.
    """

    def __init__(
        self, series: Series, *, upward: bool = True, spread: Spread | None = None
    ) -> None:
        self._series = series if upward else _mirrored(series)
        self._sign = 1.0 if upward else -1.0
        self._spread = spread

    def seconds_until(self, limit: float, horizon_s: float) -> float | None:
        """Return when the limit is reached; None = not within the horizon, or unsure.

        0 when it is reached already.
        """
        series, limit = self._series, self._sign * limit
        if len(series.values) < MIN_POINTS:
            return None
        now = newest(series.values)
        if now >= limit:
            return 0.0
        found = [
            (limit - now) / rise.slope.likely
            for rise in self._rises
            if _reaches(rise.slope, limit - now, horizon_s)
            and not _is_rhythm(series, rise, now, limit, horizon_s)
        ]
        return min(found, default=None)

    @cached_property
    def _rises(self) -> list[_Rise]:
        series = self._series
        last_s = series.past_times_s[-1] if len(series.past_times_s) else np.inf
        days = slice(int(np.searchsorted(series.past_times_s, last_s - DAYS_S)), None)
        recent, lately = self._spread or (None, None)
        found = (
            _rise(series.times_s, series.values, RECENT_S, recent),
            _rise(series.past_times_s[days], series.past_values[days], DAYS_S, lately),
        )
        return [rise for rise in found if rise is not None]


@dataclass(frozen=True, slots=True)
class _Rise:
    """A rise that is spread over a whole span."""

    since_s: float
    span_s: float
    slope: Slope


def newest(values: Floats) -> float:
    """Return the present value: one odd reading is none."""
    return float(sorted(values[-3:].tolist())[1])


def _rise(
    times_s: Floats, values: Floats, span_s: float, spread: bool | None
) -> _Rise | None:
    if len(values) < MIN_POINTS or times_s[-1] - times_s[0] < COVERED * span_s:
        return None
    # The cheapest first: of most series it is the last.
    if not (is_spread(values) if spread is None else spread):
        return None
    return _Rise(float(times_s[0]), span_s, slope_of(times_s, values))


def _reaches(slope: Slope, way: float, horizon_s: float) -> bool:
    return slope.cautious > 0 and way / slope.cautious <= horizon_s


def _is_rhythm(
    series: Series, rise: _Rise, now: float, limit: float, horizon_s: float
) -> bool:
    """Tell whether the past rose like this, and came to nothing."""
    times, values = series.past_times_s, series.past_values
    before = times < rise.since_s
    if not before.any():
        return False
    top = float(values[before].max())
    if now > top + NEW_GROUND * (limit - top):
        return False
    starts = np.searchsorted(times, times - rise.span_s)
    ends = np.searchsorted(times, times + horizon_s)
    took_s = times - times[starts]
    # What is not over yet may still come true, unless it fell since.
    is_over = times + horizon_s <= times[-1]
    known = before & (took_s >= COVERED * rise.span_s)
    known &= is_over | (values[ends - 1] < values)
    slopes = (values - values[starts])[known] / took_s[known]
    foretold = np.flatnonzero(known)[values[known] + slopes * horizon_s >= limit]
    if values.max() < limit:
        # It never came true, whenever it was foretold.
        return len(foretold) > 0
    return any(values[place : ends[place]].max() < limit for place in foretold.tolist())


@lru_cache(maxsize=64)
def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(count, 1)


def slope_of(times_s: Floats, values: Floats) -> Slope:
    """Return the median slope, and the end of its interval towards zero (Sen 1968)."""
    earlier, later = _pairs(len(values))
    slopes = (values[later] - values[earlier]) / (times_s[later] - times_s[earlier])
    slopes.sort()
    count, pairs = len(values), len(slopes)
    # The standard deviation of Kendall's S without ties.
    deviation = np.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    place = max(0, int((pairs - SURE * deviation) / 2))
    median = (slopes[(pairs - 1) // 2] + slopes[pairs // 2]) / 2
    return Slope(float(median), float(slopes[place]))


def is_spread(values: Floats) -> bool:
    """Tell whether a rise is everywhere, and not in one jump or two."""
    return bool(are_spread(values[None, :])[0])


def are_spread(many: Floats) -> NDArray[np.bool_]:
    """Return `is_spread` of each row."""
    medians = _medians(many)
    steps = np.diff(medians, axis=1)
    rise = medians[:, -1] - medians[:, 0]
    fair = FAIR_STEP * rise / (PARTS - 1)
    is_even = (steps.min(axis=1) >= fair) & (steps.max(axis=1) <= MAX_STEP * rise)
    return np.asarray((rise > 0) & is_even)


def _medians(many: Floats) -> Floats:
    """Return the median of each part, all as long: the first few points are spare.

    As a matrix it is one call, and not six.
    """
    count, length = many.shape
    width = length // PARTS
    parts = many[:, length % PARTS :].reshape(count, PARTS, width)
    ordered = np.sort(parts, axis=2)
    middle: Floats = (ordered[:, :, (width - 1) // 2] + ordered[:, :, width // 2]) / 2
    return middle


def _mirrored(series: Series) -> Series:
    return Series(
        series.times_s, -series.values, series.past_times_s, -series.past_values
    )
