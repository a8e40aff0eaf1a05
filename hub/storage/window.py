"""What was: the one way to read series over time.

parts by tier → rows → columns by series (layouts change) → points → no NaN
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from hub.machines.models import Machine
from hub.storage import buckets, layouts
from hub.storage.database import guard
from hub.storage.fold import Folded, Matrix, Times, fold, refold, single, step_for
from hub.storage.layouts import LayoutInfo, SeriesInfo, UnknownLayout
from hub.storage.rows import between
from hub.storage.spans import Part, coarsest, parts
from hub.storage.tiers import RAW, watermarks

MAX_POINTS = 5_000


@dataclass(frozen=True)
class Selector:
    """The series of a metric that have at least these attributes."""

    metric: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class WindowSeries:
    """The points of one series, ascending; where there is no reading, no point."""

    info: SeriesInfo
    # When a point's bucket begins; without buckets, when it was sampled.
    time_ms: Times
    min: Matrix
    avg: Matrix
    max: Matrix


@dataclass(frozen=True, eq=False)
class Window:
    """What was read, and how finely."""

    # The coarsest tier that was read.
    tier: str
    # The width of a bucket; without buckets, the machine's interval.
    step_s: float
    # What was asked for, widened to whole buckets.
    start: datetime
    end: datetime
    series: list[WindowSeries]
    # Which tier answered for which stretch, ascending.
    parts: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    # Of all samples in it, whatever series they have; None: only buckets were made.
    moments: Times | None = None


class _Piece(NamedTuple):
    """Rows of one layout: values, or the four matrices of buckets."""

    layout: LayoutInfo
    time_ms: Times
    matrices: tuple[Matrix, ...]


def window(
    machine: Machine,
    selectors: Sequence[Selector] | None,
    start: datetime,
    end: datetime,
    *,
    points: int = 600,
) -> Window:
    """Return series of a machine in [start, end), thinned to at most `points`.

    A gap is absent, never interpolated. Buckets begin at fixed moments and are
    read whole, so that a repeated call says the same. `selectors` None = all
    series. A series without a single reading is absent. Where fine rows have
    expired, all buckets are as wide as the coarser ones. Raises DatabaseDown.
    """
    points = max(1, min(points, MAX_POINTS))
    span_s = max(0.0, (end - start).total_seconds())
    step_s = step_for(span_s, machine.interval_s, points) if span_s else None
    with guard():
        found = parts(start, end, step_s or 0, watermarks()) if span_s else []
        tier = coarsest(found)
        if tier is not RAW:
            step_s = max(step_s or 0, int(tier.width.total_seconds()))
        if step_s is not None:
            start, end = _floor(start, step_s), _ceil(end, step_s)
            found = _widened(found, start, end)
        pieces = _read(machine, found)
    infos, time_ms, matrices = _join(pieces, selectors)
    moments = time_ms if step_s is None else None
    time_ms, low, average, high = _points(time_ms, matrices, step_s)
    return Window(
        tier=tier.name,
        step_s=step_s or machine.interval_s,
        start=start,
        end=end,
        series=list(_series(infos, time_ms, low, average, high)),
        parts=[(part.tier.name, part.start, part.end) for part in found],
        moments=moments,
    )


def _widened(found: list[Part], start: datetime, end: datetime) -> list[Part]:
    """Stretch the outer parts; the borders between them stay."""
    if found:
        found[0] = replace(found[0], start=start)
        found[-1] = replace(found[-1], end=end)
    return found


def _read(machine: Machine, found: Sequence[Part]) -> list[_Piece]:
    only_raw = all(part.tier is RAW for part in found)
    pieces: list[tuple[int, Times, tuple[Matrix, ...]]] = []
    for part in found:
        if part.tier is RAW:
            for block in between(machine.pk, part.start, part.end):
                values = block.values
                matrices = (values,) if only_raw else single(values).columns()
                pieces.append((block.layout, block.time_ms, matrices))
        else:
            some = buckets.read(part.tier, [machine.pk], part.start, part.end)
            pieces += [(b.layout, b.time_ms, b.content.columns()) for b in some or []]
    return [
        _Piece(layout, time_ms, matrices)
        for number, time_ms, matrices in pieces
        if (layout := _layout(number, matrices[0])) is not None
    ]


def _points(
    time_ms: Times, matrices: Sequence[Matrix], step_s: int | None
) -> tuple[Times, Matrix, Matrix, Matrix]:
    if step_s is None or not len(time_ms):
        return time_ms, matrices[0], matrices[0], matrices[0]
    if len(matrices) == 1:
        time_ms, content = fold(time_ms, matrices[0], step_s * 1000)
    else:
        count, *rest = matrices
        folded = Folded(np.nan_to_num(count, nan=0), *rest)
        time_ms, content = refold(time_ms, folded, step_s * 1000)
    return time_ms, content.low, content.average, content.high


def _join(
    pieces: Sequence[_Piece], selectors: Sequence[Selector] | None
) -> tuple[list[SeriesInfo], Times, Sequence[Matrix]]:
    """Put the rows of all layouts under one list of series, the newest's first."""
    newest_first = sorted(pieces, key=lambda piece: piece.time_ms.max(), reverse=True)
    chosen = [(piece, _places(piece.layout, selectors)) for piece in newest_first]
    columns: dict[object, int] = {}
    infos: list[SeriesInfo] = []
    for piece, places in chosen:
        for place in places:
            info = piece.layout.series[place]
            if columns.setdefault(info.identity, len(infos)) == len(infos):
                infos.append(info)
    if len(chosen) == 1:
        [(piece, places)] = chosen
        return infos, *_ordered(
            piece.time_ms, [_take(matrix, places) for matrix in piece.matrices]
        )
    count = sum(len(piece.time_ms) for piece, _ in chosen)
    times = np.empty(count, np.int64)
    depth = len(pieces[0].matrices) if pieces else 1
    values = np.full((depth, count, len(infos)), np.nan, np.float32)
    at = 0
    for piece, places in chosen:
        rows = slice(at, at := at + len(piece.time_ms))
        times[rows] = piece.time_ms
        here = [columns[piece.layout.series[place].identity] for place in places]
        for joined, matrix in zip(values, piece.matrices, strict=True):
            joined[rows, here] = matrix[:, places]
    return infos, *_ordered(times, list(values))


def _ordered(times: Times, matrices: list[Matrix]) -> tuple[Times, list[Matrix]]:
    if (times[1:] >= times[:-1]).all():
        return times, matrices
    order = np.argsort(times, kind="stable")
    return times[order], [matrix[order] for matrix in matrices]


def _layout(number: int, values: Matrix) -> LayoutInfo | None:
    try:
        layout = layouts.get(number)
    except UnknownLayout:
        return None
    return layout if len(layout.series) == values.shape[1] else None


def _places(layout: LayoutInfo, selectors: Sequence[Selector] | None) -> list[int]:
    if selectors is None:
        return list(range(len(layout.series)))
    found = {
        place
        for selector in selectors
        for place in layout.matching(selector.metric, selector.attributes)
    }
    return sorted(found)


def _take(values: Matrix, places: Sequence[int]) -> Matrix:
    return values if len(places) == values.shape[1] else values[:, places]


def _series(
    infos: Iterable[SeriesInfo],
    time_ms: Times,
    low: Matrix,
    average: Matrix,
    high: Matrix,
) -> Iterable[WindowSeries]:
    present = ~np.isnan(average)
    whole = np.asarray(present.all(axis=0))
    # Series by rows: each is then a run of memory of its own.
    columns = [np.ascontiguousarray(matrix.T) for matrix in (low, average, high)]
    for column, info in enumerate(infos):
        parts = [matrix[column] for matrix in columns]
        if whole[column]:
            yield WindowSeries(info, time_ms, *parts)
        elif (here := present[:, column]).any():
            yield WindowSeries(info, time_ms[here], *(part[here] for part in parts))


def _floor(moment: datetime, step_s: int) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() // step_s * step_s, UTC)


def _ceil(moment: datetime, step_s: int) -> datetime:
    return datetime.fromtimestamp(-(-moment.timestamp() // step_s) * step_s, UTC)
