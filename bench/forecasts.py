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
    slow,
    flat,
    burst,
    rotation,
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
    return Series(places[recent], values[recent], hours, by_hour)


def score(shape: Callable[[Chance], Made], runs: int = RUNS) -> Score:
    found = Score()
    for run in range(runs):
        values, known_from = shape(np.random.default_rng(run))
        for moment in _moments(values, known_from):
            said = trend.seconds_until(
                seen(values, moment), 1.0, HORIZON_S, upward=True
            )
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
