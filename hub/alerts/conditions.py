"""A value against a rule's thresholds, and a window of values as one."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hub.alerts.spec import (
    DOWNWARD,
    UPWARD,
    Aggregation,
    Operator,
    Severity,
    Spec,
    as_single,
)

Floats = NDArray[np.float32]
Times = NDArray[np.int64]

# Of one value as of an array.
_Compare = Callable[[Any, Any], Any]
_HOLDS: dict[Operator, _Compare] = {
    Operator.GT: operator.gt,
    Operator.GTE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LTE: operator.le,
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
}
_GOOD: dict[Operator, _Compare] = {
    **dict.fromkeys(UPWARD, operator.le),
    **dict.fromkeys(DOWNWARD, operator.ge),
}

# Less than this share of a window says too little about the whole.
COVERED = 0.8


class Reading(NamedTuple):
    """What one value means to a rule."""

    value: float
    severity: Severity
    # Far enough on the good side to resolve; between the two nothing changes.
    is_clear: bool


def judge(spec: Spec, value: float) -> Reading | None:
    """Compare a value; None = there is no reading."""
    if math.isnan(value):
        return None
    for severity, threshold in spec.levels:
        if _HOLDS[spec.operator](value, threshold):
            return Reading(value, severity, is_clear=False)
    return Reading(value, Severity.NONE, is_clear=_is_clear(spec, value))


def judge_all(spec: Spec, values: Floats) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Return what `judge` says of each value that is known: severity, and clear."""
    # As Python compares them; and a threshold is a float32 already.
    exact = values.astype(np.float64)
    severity = np.zeros(len(values), np.int8)
    for level, threshold in reversed(spec.levels):
        severity[_HOLDS[spec.operator](exact, threshold)] = level
    return severity, (severity == Severity.NONE) & _is_clear(spec, exact)


def _is_clear(spec: Spec, value: Any) -> Any:
    """Tell of a value, or of each of many, whether it is on the good side."""
    good = _GOOD.get(spec.operator)
    if spec.clear is None or good is None:
        return True
    return good(value, as_single(spec.clear))


def aggregate(
    aggregation: Aggregation, window_s: float, time_ms: Times, values: Floats
) -> Floats:
    """Return one value for each column of a window that ends with the last row.

    Rows ascend in time. A window that is not covered yet gives NaN, as does a
    column that has no reading in half of its rows.
    """
    first = int(np.searchsorted(time_ms, time_ms[-1] - window_s * 1000))
    rows, times = values[first:], time_ms[first:]
    missing = np.full(values.shape[1], np.nan, np.float32)
    if times[-1] - times[0] < COVERED * window_s * 1000:
        return missing
    if aggregation in (Aggregation.CHANGE, Aggregation.RATE):
        return _change(aggregation, times, rows)
    counts = np.count_nonzero(~np.isnan(rows), axis=0)
    if aggregation is Aggregation.MAX:
        found = np.fmax.reduce(rows, axis=0)
    elif aggregation is Aggregation.MIN:
        found = np.fmin.reduce(rows, axis=0)
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.nansum(rows, axis=0, dtype=np.float64) / counts
    return np.where(2 * counts >= len(rows), found, missing).astype(np.float32)


def rolling(
    aggregation: Aggregation, window_s: float, time_ms: Times, values: Floats
) -> Floats:
    """Return `aggregate` of the window that ends with each point of one series."""
    count = len(values)
    starts = np.searchsorted(time_ms, time_ms - window_s * 1000)
    places = np.arange(count)
    covered = time_ms - time_ms[starts] >= COVERED * window_s * 1000
    if aggregation in (Aggregation.CHANGE, Aggregation.RATE):
        found = values - values[starts]
        if aggregation is Aggregation.RATE:
            with np.errstate(invalid="ignore", divide="ignore"):
                found = found / ((time_ms - time_ms[starts]) / 1000)
    elif aggregation is Aggregation.AVG:
        sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        found = (sums[places + 1] - sums[starts]) / (places + 1 - starts)
    else:
        reduce = np.maximum if aggregation is Aggregation.MAX else np.minimum
        found = values.copy()
        for back in range(1, int((places - starts).max(initial=0)) + 1):
            reach = places - back >= starts
            found[reach] = reduce(found[reach], values[(places - back)[reach]])
    return np.where(covered, found, np.nan).astype(np.float32)


def _change(aggregation: Aggregation, times: Times, rows: Floats) -> Floats:
    change: Floats = rows[-1] - rows[0]
    if aggregation is Aggregation.RATE:
        # Of a single row nothing can be said: 0 / 0.
        seconds = np.float32((times[-1] - times[0]) / 1000)
        with np.errstate(invalid="ignore", divide="ignore"):
            change = change / seconds
    return change
