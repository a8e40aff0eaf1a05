"""Rules compiled for a layout: which places they look at, all compared at once.

A healthy machine costs a few vector operations; only what is beyond a threshold,
or was a moment ago, is looked at one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hub.alerts import matchers
from hub.alerts.conditions import Floats, Times, aggregate
from hub.alerts.spec import DOWNWARD, Aggregation, NoData, Operator, Spec
from hub.storage.layouts import LayoutInfo, SeriesInfo

# (rule, series): what has a state and at most one open alert.
Key = tuple[int, str]


class Pair(NamedTuple):
    """A rule and one series that it is about."""

    spec: Spec
    series: SeriesInfo
    column: int
    key: Key


class Group(NamedTuple):
    """Pairs whose value comes from the same kind of window."""

    aggregation: Aggregation
    window_s: float
    # Places among the plan's pairs, and what they are.
    pairs: NDArray[np.intp]
    keys: tuple[Key, ...]

    @property
    def window(self) -> tuple[Aggregation, float]:
        return self.aggregation, self.window_s


class Plan:
    """What `specs` ask of machines that send this layout."""

    def __init__(self, specs: Iterable[Spec], layout: LayoutInfo) -> None:
        self.layout = layout
        specs = tuple(specs)
        # Also those that find nothing to look at here.
        self.rules = frozenset(spec.rule for spec in specs if spec.is_streamed)
        self.pairs = [
            Pair(spec, layout.series[column], column, (spec.rule, key))
            for spec in specs
            if spec.is_streamed and spec.levels
            for column, key in _places(spec, layout)
        ]
        self.place = {pair.key: n for n, pair in enumerate(self.pairs)}
        self.groups = _groups(self.pairs)
        self._columns = np.array([pair.column for pair in self.pairs], np.intp)
        self._divided = _divided(self.pairs, layout)
        bounds = [bound(pair.spec) for pair in self.pairs]
        self._sign = np.array([sign for sign, _ in bounds], np.float32)
        self._least = np.array([least for _, least in bounds], np.float32)

    def candidates(self, values: Floats) -> list[int]:
        """Return the pairs that may be beyond a threshold; `judge` decides."""
        found = self._sign * values >= self._least
        if self._counts_silence is not None:
            found |= self._counts_silence & np.isnan(values)
        return found.nonzero()[0].tolist()

    def newest(self, vector: Floats) -> Floats:
        """Return each pair's value in one sample."""
        values = vector[self._columns]
        if self._divided is not None:
            pairs, divisors = self._divided
            with np.errstate(divide="ignore", invalid="ignore"):
                values[pairs] /= vector[divisors]
            # Nothing can be said per nothing.
            values[np.isinf(values)] = np.nan
        return values

    @cached_property
    def _counts_silence(self) -> NDArray[np.bool_] | None:
        fires = [pair.spec.no_data is NoData.FIRE for pair in self.pairs]
        return np.array(fires) if any(fires) else None


class History:
    """The values of one group's pairs on one machine, as far back as needed."""

    # Beyond it the oldest go: an hour at the fastest interval that agents have.
    MAX_ROWS = 3_600

    def __init__(self, group: Group) -> None:
        self.group = group
        self._times: Times = np.empty(32, np.int64)
        self._rows: Floats = np.empty((32, len(group.pairs)), np.float32)
        self._first = self._end = 0

    def add(self, time_ms: int, values: Floats) -> None:
        """Take in the plan's values at a moment."""
        if self._end == len(self._times):
            self._make_room()
        self._times[self._end] = time_ms
        self._rows[self._end] = values[self.group.pairs]
        self._end += 1
        oldest = time_ms - self.group.window_s * 1000
        while self._times[self._first] < oldest:
            self._first += 1

    def value(self) -> Floats:
        kept = slice(self._first, self._end)
        group = self.group
        return aggregate(
            group.aggregation, group.window_s, self._times[kept], self._rows[kept]
        )

    def carry_on(self, other: History) -> None:
        """Take over what another history knows of the same pairs."""
        kept = slice(other._first, other._end)
        there = {key: column for column, key in enumerate(other.group.keys)}
        rows = np.full(
            (kept.stop - kept.start, len(self.group.keys)), np.nan, np.float32
        )
        for column, key in enumerate(self.group.keys):
            if key in there:
                rows[:, column] = other._rows[kept, there[key]]
        self._times, self._rows = other._times[kept].copy(), rows
        self._first, self._end = 0, len(rows)

    def _make_room(self) -> None:
        first = max(self._first, self._end - self.MAX_ROWS + 1)
        kept = self._end - first
        size = max(32, 2 * kept)
        times = np.empty(size, np.int64)
        rows = np.empty((size, self._rows.shape[1]), np.float32)
        times[:kept], rows[:kept] = (
            self._times[first : self._end],
            self._rows[first : self._end],
        )
        self._times, self._rows, self._first, self._end = times, rows, 0, kept


def series_key(series: SeriesInfo) -> str:
    """Return 32 characters that stand for a metric and its attributes."""
    text = json.dumps([series.metric, series.attributes])
    return blake2b(text.encode(), digest_size=16).hexdigest()


def matching(spec: Spec, layout: LayoutInfo) -> list[int]:
    """Return the places of all series that a rule is about."""
    return [
        place
        for place, series in enumerate(layout.series)
        if series.metric == spec.metric
        and matchers.accept(spec.matchers, series.attributes)
    ]


def _places(spec: Spec, layout: LayoutInfo) -> list[tuple[int, str]]:
    if spec.per and layout.index(spec.per) is None:
        return []
    return [
        (place, series_key(layout.series[place])) for place in matching(spec, layout)
    ]


def _groups(pairs: Sequence[Pair]) -> list[Group]:
    members: dict[tuple[Aggregation, float], list[int]] = {}
    for number, pair in enumerate(pairs):
        spec = pair.spec
        if spec.aggregation is not Aggregation.LAST:
            members.setdefault((spec.aggregation, spec.window_s), []).append(number)
    return [
        Group(
            aggregation,
            window_s,
            np.array(numbers, np.intp),
            tuple(pairs[number].key for number in numbers),
        )
        for (aggregation, window_s), numbers in members.items()
    ]


def _divided(
    pairs: Sequence[Pair], layout: LayoutInfo
) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Return which pairs are divided, and the places of what they are divided by."""
    found = [
        (number, layout.index(pair.spec.per))
        for number, pair in enumerate(pairs)
        if pair.spec.per
    ]
    if not found:
        return None
    numbers, divisors = zip(*found, strict=True)
    return np.array(numbers, np.intp), np.array(divisors, np.intp)


def bound(spec: Spec) -> tuple[float, float]:
    """Return a sign and a bound: sign * value >= bound wherever a level may hold."""
    if spec.operator is Operator.NE:
        return 1.0, -np.inf
    sign = -1.0 if spec.operator in DOWNWARD else 1.0
    return sign, min(sign * threshold for _, threshold in spec.levels)
