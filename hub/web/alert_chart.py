"""The samples around an alert's opening as a small picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hub.alerts.models import Alert
from hub.web.stories import amount

WIDTH, HEIGHT = 720, 160
# A line that touches the edge is cut in half.
EDGE = 4
# A pause this many times the usual step is a gap.
GAP_STEPS = 2.5


@dataclass(frozen=True, slots=True)
class Level:
    severity: str
    y: float
    text: str
    # Percent from the top, for the label beside the picture.
    place: int


@dataclass(frozen=True, slots=True)
class Picture:
    path: str
    # From its opening to its end, or as far as there are samples.
    opened_x: float
    open_width: float
    levels: Sequence[Level]
    first_ms: int
    last_ms: int
    low: str
    high: str
    width: int = WIDTH
    height: int = HEIGHT


Scale = Callable[[float], float]
Points = list[tuple[int, float | None]]


def chart(alert: Alert) -> Picture | None:
    """Return the picture, or None when there is nothing to draw."""
    points: Points = [(int(ms), value) for ms, value in alert.samples]
    values = [value for _, value in points if value is not None]
    if len(values) < 2 or points[-1][0] <= points[0][0]:
        return None
    bounds = {
        level: float(bound)
        for level in ("warning", "critical")
        if isinstance(bound := alert.snapshot.get(level), (int, float))
    }
    low, high = _range(values, list(bounds.values()), alert.unit)
    first, last = points[0][0], points[-1][0]

    def x(ms: float) -> float:
        return round(min(max((ms - first) / (last - first), 0), 1) * WIDTH, 1)

    def y(value: float) -> float:
        share = (value - low) / (high - low)
        return round(HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE), 1)

    opened_x = x(alert.opened_at.timestamp() * 1000)
    ended = alert.resolved_at
    return Picture(
        path="".join(_path(points, x, y)),
        opened_x=opened_x,
        open_width=(x(ended.timestamp() * 1000) if ended else WIDTH) - opened_x,
        levels=[
            Level(
                level,
                y(bound),
                amount(bound, alert.unit),
                round(y(bound) / HEIGHT * 100),
            )
            for level, bound in bounds.items()
        ],
        first_ms=first,
        last_ms=last,
        low=amount(low, alert.unit),
        high=amount(high, alert.unit),
    )


def _range(
    values: Sequence[float], bounds: Sequence[float], unit: str
) -> tuple[float, float]:
    """Return the ends of the axis: percent from 0 to 100, the rest from 0."""
    low, high = min(*values, *bounds, 0.0), max(*values, *bounds)
    if unit == "1":
        high = max(high, 1.0)
    if unit == "Cel":
        low = min(*values, *bounds) - 5
    return low, high if high > low else low + 1


def _path(points: Points, x: Scale, y: Scale) -> Iterator[str]:
    steps = sorted(after - before for (before, _), (after, _) in pairwise(points))
    usual = steps[len(steps) // 2]
    drawn_ms: int | None = None
    for ms, value in points:
        if value is None:
            drawn_ms = None
            continue
        joined = drawn_ms is not None and ms - drawn_ms <= GAP_STEPS * usual
        yield f"{'L' if joined else 'M'}{x(ms)} {y(value)}"
        drawn_ms = ms
