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


def seconds_until(
    series: Series, limit: float, horizon_s: float, *, upward: bool
) -> float | None:
    """Return when the limit will be reached; None = not within the horizon, or unsure.

    0 when it is reached already.
    """
    if not upward:
        series = _mirrored(series)
        limit = -limit
    if len(series.values) < MIN_POINTS:
        return None
    now = float(sorted(series.values[-3:].tolist())[1])
    if now >= limit:
        return 0.0
    ahead = _Ahead(series, now, limit, horizon_s)
    days = series.past_times_s >= series.past_times_s[-1] - DAYS_S
    found = [
        ahead.seconds(series.times_s, series.values, RECENT_S),
        ahead.seconds(series.past_times_s[days], series.past_values[days], DAYS_S),
    ]
    return min((seconds for seconds in found if seconds is not None), default=None)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What is asked of a series, whichever span answers."""

    series: Series
    now: float
    limit: float
    horizon_s: float

    def seconds(self, times_s: Floats, values: Floats, span_s: float) -> float | None:
        if len(values) < MIN_POINTS or times_s[-1] - times_s[0] < COVERED * span_s:
            return None
        # The cheapest first: of most series it is the last.
        if not is_spread(values):
            return None
        slope = slope_of(times_s, values)
        way = self.limit - self.now
        if slope.cautious <= 0 or way / slope.cautious > self.horizon_s:
            return None
        if self._is_rhythm(times_s[0], span_s):
            return None
        return way / slope.likely

    def _is_rhythm(self, since_s: float, span_s: float) -> bool:
        """Tell whether the past rose like this, and came to nothing."""
        times, values = self.series.past_times_s, self.series.past_values
        before = times < since_s
        if not before.any():
            return False
        top = float(values[before].max())
        if self.now > top + NEW_GROUND * (self.limit - top):
            return False
        starts = np.searchsorted(times, times - span_s)
        ends = np.searchsorted(times, times + self.horizon_s)
        for place in np.flatnonzero(before):
            took_s = times[place] - times[starts[place]]
            if took_s < COVERED * span_s:
                continue
            outcome = values[place : ends[place]]
            # What is not over yet may still come true, unless it fell since.
            is_over = times[place] + self.horizon_s <= times[-1]
            if not is_over and outcome[-1] >= values[place]:
                continue
            slope = (values[place] - values[starts[place]]) / took_s
            foretold = values[place] + slope * self.horizon_s >= self.limit
            if foretold and outcome.max() < self.limit:
                return True
        return False


def slope_of(times_s: Floats, values: Floats) -> Slope:
    """Return the median slope, and the end of its interval towards zero (Sen 1968)."""
    earlier, later = np.triu_indices(len(values), 1)
    slopes = (values[later] - values[earlier]) / (times_s[later] - times_s[earlier])
    slopes.sort()
    count = len(values)
    # The standard deviation of Kendall's S without ties.
    deviation = np.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    place = max(0, int((len(slopes) - SURE * deviation) / 2))
    return Slope(float(np.median(slopes)), float(slopes[place]))


def is_spread(values: Floats) -> bool:
    """Tell whether a rise is everywhere, and not in one jump or two."""
    medians = _medians(values)
    steps = np.diff(medians)
    rise = float(medians[-1] - medians[0])
    if rise <= 0:
        return False
    fair = FAIR_STEP * rise / len(steps)
    return float(steps.min()) >= fair and float(steps.max()) <= MAX_STEP * rise


def _medians(values: Floats) -> Floats:
    """Return the median of each part, all as long: the first few points are spare.

    As a matrix it is one call, and not six.
    """
    width = len(values) // PARTS
    parts = values[len(values) % PARTS :].reshape(PARTS, width)
    ordered = np.sort(parts, axis=1)
    middle: Floats = (ordered[:, (width - 1) // 2] + ordered[:, width // 2]) / 2
    return middle


def _mirrored(series: Series) -> Series:
    return Series(
        series.times_s, -series.values, series.past_times_s, -series.past_values
    )
