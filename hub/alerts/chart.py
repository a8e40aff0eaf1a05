"""A back-test as a small picture: coordinates for an SVG without styles of its own.

The browser stretches it; words and numbers lie beside it, at shares of its height.
Times are written by `static/js/back-test.js`, which knows the reader's days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hub.alerts import axis
from hub.alerts.backtest import BackTest
from hub.alerts.conditions import Floats, Times
from hub.alerts.past_values import HOUR_MS
from hub.alerts.quantities import duration
from hub.alerts.replay import Tried
from hub.alerts.spec import DOWNWARD, Kind, Spec

WIDTH, HEIGHT = 640, 120
# Room above the highest value and below the lowest, as a share of the height.
MARGIN = 0.08


@dataclass(frozen=True, slots=True)
class Mark:
    x: float
    width: float
    severity: str


@dataclass(frozen=True, slots=True)
class Threshold:
    y: float
    severity: str
    value: float


@dataclass(frozen=True, slots=True)
class Tick:
    y: float
    # Of the height, in percent.
    share: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    tried: Tried
    points: list[str]
    thresholds: list[Threshold]
    marks: list[Mark]
    ticks: list[Tick]
    start_ms: int
    end_ms: int
    # How far back it goes: a young machine has no seven days.
    span: str


def charts(spec: Spec, unit: str, test: BackTest) -> list[Chart]:
    return [
        _chart(spec, unit, test, tried) for tried in test.lines if len(tried.time_ms)
    ]


def _chart(spec: Spec, unit: str, test: BackTest, tried: Tried) -> Chart:
    end_ms = test.end.timestamp() * 1000
    start_ms = test.start.timestamp() * 1000
    # The first hour of many began before the seven days did.
    if tried.time_ms[0] - start_ms > HOUR_MS:
        start_ms = min(float(tried.time_ms[0]), end_ms - HOUR_MS)
    values = tried.low if spec.operator in DOWNWARD else tried.high
    levels = [threshold for _, threshold in spec.levels if not spec.window_is_change]
    # Mostly there is no silence, and it shows how much of one there was.
    levels += [0.0] if spec.kind is Kind.DOWN else []
    low = float(min(values.min(), *levels)) if levels else float(values.min())
    high = float(max(values.max(), *levels)) if levels else float(values.max())
    span = (high - low) or 1.0

    def x(ms: float) -> float:
        return round(
            WIDTH * min(1.0, max(0.0, (ms - start_ms) / (end_ms - start_ms))), 1
        )

    def y(value: float) -> float:
        share = (value - low) / span
        return round(HEIGHT * (1 - MARGIN - share * (1 - 2 * MARGIN)), 1)

    return Chart(
        tried,
        [
            " ".join(f"{x(ms)},{y(value)}" for ms, value in part)
            for part in _unbroken(tried.time_ms, values)
        ],
        [
            Threshold(y(threshold), severity.word, threshold)
            for severity, threshold in spec.levels
            if not spec.window_is_change
        ],
        [
            Mark(
                x(firing.start_ms),
                # A pixel and a half is the least that is seen.
                max(1.5, round(x(firing.end_ms or end_ms) - x(firing.start_ms), 1)),
                firing.severity.word,
            )
            for firing in tried.firings
        ],
        [
            Tick(y(value), round(100 * y(value) / HEIGHT, 1), text)
            for value, text in axis.ticks(low, high, unit)
        ],
        round(start_ms),
        round(end_ms),
        duration(round((end_ms - start_ms) / HOUR_MS) * 3600.0),
    )


def _unbroken(time_ms: Times, values: Floats) -> list[list[tuple[int, float]]]:
    """Part the line where hours are missing: a gap is never drawn over.

    What was the highest of an hour is so until its end.
    """
    breaks = np.flatnonzero(np.diff(time_ms) > 2 * HOUR_MS) + 1
    pairs = zip(np.split(time_ms, breaks), np.split(values, breaks), strict=True)
    return [
        [
            *zip(t.tolist(), v.tolist(), strict=True),
            (int(t[-1]) + HOUR_MS, float(v[-1])),
        ]
        for t, v in pairs
    ]
