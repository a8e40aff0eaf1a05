"""How good are forecasts? Precision and recall on series whose future is known.

    python -m bench.forecasts

Each shape is simulated for eight days and two more that nobody sees; a forecast is
made every two hours of the last day and a half before, from what was seen until
then, and compared with what the simulation does next. "Full" is 100 %, the horizon
24 hours. Within a tenth of the horizon either side, both answers count as right.
What begins later than a moment, nobody could have known then: it does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.alerts import trend
from hub.alerts.trend import Series

Floats = NDArray[np.float64]
Chance = np.random.Generator
# A series, and from which point on its end could be known.
Made = tuple[Floats, float]

HOUR = 12  # points of five minutes
DAY = 24 * HOUR
SEEN, LENGTH = 8 * DAY, 10 * DAY
HORIZON_S = 24 * 3600.0
SLACK = 0.1
RUNS = 60


def _noise(chance: Chance, size: float) -> Floats:
    return chance.normal(0, size, LENGTH)


def steady(chance: Chance) -> Made:
    """Fills without a pause, fast or slowly, since before anybody looked."""
    full_at = chance.uniform(6, 14) * DAY
    return 0.3 + 0.7 * np.arange(LENGTH) / full_at + _noise(chance, 0.001), 0


def leak(chance: Chance) -> Made:
    """Was flat for days, and fills since some hours ago."""
    begins = SEEN - chance.uniform(6, 30) * HOUR
    level, per_point = chance.uniform(0.3, 0.7), chance.uniform(0.01, 0.06) / HOUR
    since = np.maximum(0, np.arange(LENGTH) - begins)
    return level + since * per_point + _noise(chance, 0.002), begins


def noisy_fill(chance: Chance) -> Made:
    """Fills, with work that comes and goes on top."""
    full_at = chance.uniform(7, 12) * DAY
    work = 0.02 * np.sin(np.arange(LENGTH) / chance.uniform(3, 10))
    return 0.4 + 0.6 * np.arange(LENGTH) / full_at + work + _noise(chance, 0.005), 0


def slow(chance: Chance) -> Made:
    """Fills over weeks: not within the horizon."""
    level = chance.uniform(0.4, 0.6)
    return level + np.arange(LENGTH) * chance.uniform(0.005, 0.03) / DAY, 0


def flat(chance: Chance) -> Made:
    """Nothing but noise."""
    return chance.uniform(0.2, 0.9) + _noise(chance, chance.uniform(0.001, 0.01)), 0


def burst(chance: Chance) -> Made:
    """A large copy of half an hour to three hours, then nothing more."""
    begins = SEEN - chance.uniform(1, 30) * HOUR
    lasts = chance.uniform(0.5, 3) * HOUR
    rise = np.clip((np.arange(LENGTH) - begins) / lasts, 0, 1)
    return 0.4 + rise * chance.uniform(0.1, 0.4) + _noise(chance, 0.001), 0


def rotation(chance: Chance) -> Made:
    """Logs that grow, and are rotated every twelve hours, day or two days."""
    period = chance.choice([12, 24, 48]) * HOUR
    phase = chance.uniform(0, period)
    grown = ((np.arange(LENGTH) + phase) % period) / period
    return 0.5 + chance.uniform(0.15, 0.4) * grown + _noise(chance, 0.002), 0


def rhythm(chance: Chance) -> Made:
    """A day's work that comes and goes."""
    turn = 2 * np.pi * (np.arange(LENGTH) / DAY + chance.uniform())
    return 0.6 + chance.uniform(0.1, 0.3) * np.sin(turn) + _noise(chance, 0.005), 0


def stairs(chance: Chance) -> Made:
    """A release every day or so that leaves something behind, cleaned each week."""
    steps = np.zeros(LENGTH)
    for day in range(10):
        steps[int((day + chance.uniform(0, 0.3)) * DAY) :] += chance.uniform(0.01, 0.04)
    return 0.4 + steps + _noise(chance, 0.001), 0


def nightly(chance: Chance) -> Made:
    """A backup that grows for an hour or three each night, and is moved away later."""
    lasts, stays = chance.uniform(1, 3) * HOUR, chance.uniform(0, 6) * HOUR
    size, begins = chance.uniform(0.1, 0.4), chance.uniform(0, 3) * HOUR
    values = np.full(LENGTH, 0.45)
    for day in range(10):
        start = day * DAY + begins + chance.uniform(-0.3, 0.3) * HOUR
        since = np.arange(LENGTH) - start
        busy = (since >= 0) & (since <= lasts + stays)
        values[busy] += size * np.clip(since[busy] / lasts, 0, 1)
    return values + _noise(chance, 0.001), 0


def step(chance: Chance) -> Made:
    """A jump once, by a new version or a moved folder, and nothing more."""
    begins = int(SEEN - chance.uniform(0, 48) * HOUR)
    values = np.full(LENGTH, chance.uniform(0.2, 0.6))
    values[begins:] += chance.uniform(0.05, 0.35)
    return values + _noise(chance, 0.001), 0


def slow_leak(chance: Chance) -> Made:
    """Leaks for weeks below much noise, in steps of whole blocks."""
    full_at = chance.uniform(7.5, 10) * DAY
    begins = full_at - chance.uniform(14, 30) * DAY
    rise = 0.6 * (np.arange(LENGTH) - begins) / (full_at - begins)
    noisy = 0.4 + rise + _noise(chance, chance.uniform(0.002, 0.01))
    return np.round(noisy / 0.004) * 0.004, 0


def reset(chance: Chance) -> Made:
    """A total that grows for some days, and begins anew whenever the machine does."""
    values = np.zeros(LENGTH)
    start = 0.0
    while start < LENGTH:
        end = start + chance.uniform(0.3, 3) * DAY
        since = np.arange(LENGTH) - start
        running = (since >= 0) & (np.arange(LENGTH) < end)
        values[running] = since[running] * chance.uniform(0.05, 0.25) / DAY
        start = end
    return values + _noise(chance, 0.001), 0


def grown_disk(chance: Chance) -> Made:
    """Filled slowly, was made twice as large, and fills on: not within the horizon."""
    grown = int(SEEN - chance.uniform(2, 60) * HOUR)
    per_point = chance.uniform(0.005, 0.02) / DAY
    values = 0.8 + np.arange(LENGTH) * per_point
    values[grown:] /= 2
    return values + _noise(chance, 0.001), 0


def switched_off(chance: Chance) -> Made:
    """Fills while it works by day, and is off at night."""
    full_at = chance.uniform(6, 14) * DAY
    values = 0.3 + 0.7 * np.arange(LENGTH) / full_at + _noise(chance, 0.001)
    values[np.arange(LENGTH) % DAY < 9 * HOUR] = np.nan
    return values, 0


def failed_rotation(chance: Chance) -> Made:
    """Logs that were rotated every day, until they were not any more."""
    grown = (np.arange(LENGTH) % DAY) / DAY
    last = 6 * DAY
    grown[last:] = (np.arange(LENGTH)[last:] - last) / DAY
    size = chance.uniform(0.2, 0.35)
    return 0.45 + size * grown + _noise(chance, 0.002), last + DAY


SHAPES: tuple[Callable[[Chance], Made], ...] = (
    steady,
    leak,
    noisy_fill,
    failed_rotation,
    slow_leak,
    switched_off,
    slow,
    flat,
    burst,
    nightly,
    step,
    rotation,
    reset,
    grown_disk,
    rhythm,
    stairs,
)


@dataclass
class Score:
    hits: int = 0
    false_alarms: int = 0
    misses: int = 0
    quiet: int = 0

    @property
    def precision(self) -> float | None:
        said = self.hits + self.false_alarms
        return self.hits / said if said else None

    @property
    def recall(self) -> float | None:
        due = self.hits + self.misses
        return self.hits / due if due else None

    def add(self, other: Score) -> None:
        self.hits += other.hits
        self.false_alarms += other.false_alarms
        self.misses += other.misses
        self.quiet += other.quiet


def seen(values: Floats, end: int) -> Series:
    """Return what a hub has at a moment: six hours finely, seven days by the hour."""
    places: Floats = np.arange(LENGTH, dtype=np.float64) * 300
    recent = slice(end - 6 * HOUR, end)
    past = slice(max(0, end - 7 * DAY), end)
    by_hour: Floats = values[past].reshape(-1, HOUR).mean(axis=1, dtype=np.float64)
    hours: Floats = places[past][::HOUR]
    # Where there is no reading, the tiers have no point.
    known, known_hours = np.isfinite(values[recent]), np.isfinite(by_hour)
    return Series(
        places[recent][known],
        values[recent][known],
        hours[known_hours],
        by_hour[known_hours],
    )


def score(shape: Callable[[Chance], Made], runs: int = RUNS) -> Score:
    found = Score()
    for run in range(runs):
        values, known_from = shape(np.random.default_rng(run))
        for moment in _moments(values, known_from):
            said = trend.Outlook(seen(values, moment)).seconds_until(1.0, HORIZON_S)
            _count(found, said is not None, _full_in_s(values, moment))
    return found


def _moments(values: Floats, known_from: float) -> Iterator[int]:
    full = np.flatnonzero(values >= 1)
    # Who is full already needs no forecast.
    last = min(SEEN, int(full[0]) if len(full) else SEEN)
    for moment in range(SEEN - 36 * HOUR, SEEN + 1, 2 * HOUR):
        if known_from <= moment <= last:
            yield moment


def _full_in_s(values: Floats, moment: int) -> float:
    # The median of a quarter of an hour: not a single noisy point.
    later = values[moment:]
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(later, 3), axis=1)
    # A machine that is off fills nothing.
    smooth = np.nan_to_num(smooth, nan=0.0)
    full = np.flatnonzero(smooth >= 1)
    return float(full[0]) * 300 if len(full) else float("inf")


def _count(found: Score, said: bool, full_in_s: float) -> None:
    is_due = full_in_s <= HORIZON_S
    near = abs(full_in_s - HORIZON_S) <= SLACK * HORIZON_S
    if said and (is_due or near):
        found.hits += 1
    elif said:
        found.false_alarms += 1
    elif is_due and not near:
        found.misses += 1
    else:
        found.quiet += 1


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}".replace("%", " %")


def main() -> None:
    print("| series | forecasts due | found | missed | false alarms | of quiet |")
    print("|---|---|---|---|---|---|")
    total = Score()
    for shape in SHAPES:
        one = score(shape)
        total.add(one)
        words = (shape.__doc__ or "").strip().rstrip(".")
        print(
            f"| {words} | {one.hits + one.misses} | {one.hits} | {one.misses} "
            f"| {one.false_alarms} | {one.quiet + one.false_alarms} |"
        )
    print(
        f"\nprecision {_share(total.precision)}, recall {_share(total.recall)}"
        f" over {RUNS} runs of each shape"
    )


if __name__ == "__main__":
    main()
