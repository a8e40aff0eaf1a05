"""Rows into points: pure arithmetic on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
Matrix = NDArray[np.float32]

# Every step divides the next minute, hour or day, so that edges stay where they
# are while a window moves over them.
STEPS_S = (
    *(1, 2, 5, 10, 15, 20, 30),
    *(60, 120, 300, 600, 900, 1200, 1800),
    *(3600, 7200, 10800, 21600, 43200, 86400),
)


def step_for(span_s: float, interval_s: float, points: int) -> int | None:
    """Return the bucket width that gives at most `points`; None = as sampled.

    Beyond a day it is whole days.
    """
    needed_s = span_s / points
    if needed_s <= interval_s:
        return None
    for step_s in STEPS_S:
        if step_s >= needed_s:
            return step_s
    return int(-(-needed_s // 86400)) * 86400


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """Buckets by rows, series by columns; where the count is 0, the rest is NaN."""

    count: Matrix
    low: Matrix
    average: Matrix
    high: Matrix

    def columns(self) -> tuple[Matrix, Matrix, Matrix, Matrix]:
        return self.count, self.low, self.average, self.high

    def take(self, rows: NDArray[Any]) -> Folded:
        return Folded(*(matrix[rows] for matrix in self.columns()))

    @staticmethod
    def concatenate(parts: Sequence[Folded]) -> Folded:
        joined = zip(*(part.columns() for part in parts), strict=True)
        return Folded(*(np.concatenate(matrices) for matrices in joined))


def fold(time_ms: Times, values: Matrix, step_ms: int) -> tuple[Times, Folded]:
    """Fold rows, ascending by time, into buckets; return their starts and content.

    Buckets begin at multiples of the step; one without rows is absent. NaN is no
    reading: it counts only where a bucket has nothing else.
    """
    buckets = time_ms // step_ms
    first = starts(buckets)
    return buckets[first] * step_ms, reduce(values, first)


def refold(time_ms: Times, parts: Folded, step_ms: int) -> tuple[Times, Folded]:
    """Fold buckets, ascending by time, into wider ones, as `fold` would have."""
    buckets = time_ms // step_ms
    first = starts(buckets)
    return buckets[first] * step_ms, merge(parts, first)


def starts(*keys: Times) -> NDArray[np.intp]:
    """Return where a run of equal keys begins, in rows sorted by them."""
    changes = np.zeros(len(keys[0]), np.bool_)
    changes[:1] = True
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changes)


def reduce(values: Matrix, first: NDArray[np.intp]) -> Folded:
    """Fold runs of rows that begin at `first`."""
    present = ~np.isnan(values)
    count = np.add.reduceat(present, first, axis=0, dtype=np.int32)
    # A float32 sum of a long bucket would lose digits of what it adds last.
    total = _sum(np.where(present, values, 0), first)
    low = np.fmin.reduceat(values, first, axis=0)
    high = np.fmax.reduceat(values, first, axis=0)
    return Folded(count.astype(np.float32), low, _mean(total, count), high)


def merge(parts: Folded, first: NDArray[np.intp]) -> Folded:
    """Fold runs of buckets that begin at `first`; averages weigh by their counts."""
    weight = parts.count.astype(np.float64)
    count = _sum(weight, first)
    total = _sum(np.where(weight > 0, parts.average, 0) * weight, first)
    low = np.fmin.reduceat(parts.low, first, axis=0)
    high = np.fmax.reduceat(parts.high, first, axis=0)
    return Folded(count.astype(np.float32), low, _mean(total, count), high)


def single(values: Matrix) -> Folded:
    """Return rows as buckets of one reading each."""
    return Folded((~np.isnan(values)).astype(np.float32), values, values, values)


def _sum(values: NDArray[Any], first: NDArray[np.intp]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        total: NDArray[np.float64] = np.add.reduceat(
            values, first, axis=0, dtype=np.float64
        )
    return total


def _mean(total: NDArray[np.float64], count: NDArray[Any]) -> Matrix:
    # Nothing has no mean; nor have infinities of both signs.
    with np.errstate(invalid="ignore", over="ignore"):
        mean: Matrix = (total / count).astype(np.float32)
    return mean
