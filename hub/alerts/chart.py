"""A back-test as a small picture: coordinates for an SVG without styles of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hub.alerts.backtest import BackTest
from hub.alerts.conditions import Floats, Times
from hub.alerts.past_values import HOUR_MS
from hub.alerts.quantities import duration
from hub.alerts.replay import Tried
from hub.alerts.spec import DOWNWARD, Spec

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
class Chart:
    tried: Tried
    points: list[str]
    thresholds: list[Threshold]
    marks: list[Mark]
    low: float
    high: float
    # How far back it goes: a young machine has no seven days.
    span: str


def charts(spec: Spec, test: BackTest) -> list[Chart]:
    return [_chart(spec, test, tried) for tried in test.lines if len(tried.time_ms)]


def _chart(spec: Spec, test: BackTest, tried: Tried) -> Chart:
    end_ms = test.end.timestamp() * 1000
    start_ms = max(test.start.timestamp() * 1000, float(tried.time_ms[0]))
    start_ms = min(start_ms, end_ms - HOUR_MS)
    values = tried.low if spec.operator in DOWNWARD else tried.high
    levels = [threshold for _, threshold in spec.levels if not spec.window_is_change]
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
        low,
        high,
        duration(round((end_ms - start_ms) / HOUR_MS) * 3600.0),
    )


def _unbroken(time_ms: Times, values: Floats) -> list[list[tuple[int, float]]]:
    """Part the line where hours are missing: a gap is never drawn over."""
    if len(time_ms) < 2:
        return [list(zip(time_ms.tolist(), values.tolist(), strict=True))]
    steps = np.diff(time_ms)
    breaks = np.flatnonzero(steps > 2 * np.median(steps)) + 1
    pairs = zip(np.split(time_ms, breaks), np.split(values, breaks), strict=True)
    return [list(zip(t.tolist(), v.tolist(), strict=True)) for t, v in pairs]
