"""What a rule says, as plain values: all that the evaluation knows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import cached_property

import numpy as np

from hub.alerts.matchers import Matcher


class Kind(StrEnum):
    THRESHOLD = "threshold"
    CHANGE = "change"
    FORECAST = "forecast"
    DOWN = "down"


class Aggregation(StrEnum):
    LAST = "last"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    # By how much a second, and by how much at all, from the window's start to its end.
    RATE = "rate"
    CHANGE = "change"


class Operator(StrEnum):
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    EQ = "eq"
    NE = "ne"


class NoData(StrEnum):
    IGNORE = "ignore"
    FIRE = "fire"
    RESOLVE = "resolve"


class Severity(IntEnum):
    NONE = 0
    WARNING = 1
    CRITICAL = 2

    @property
    def word(self) -> str:
        return self.name.lower()


# A larger value is worse, a smaller one is; for the rest neither.
UPWARD = frozenset({Operator.GT, Operator.GTE})
DOWNWARD = frozenset({Operator.LT, Operator.LTE})


@dataclass(frozen=True)
class Spec:
    """One rule. Values in the metric's own unit, ratios 0-1.

    Of a forecast, `warning` and `critical` are the values that the metric will
    reach within `horizon_s`; of a machine's silence, they are intervals.
    """

    rule: int
    kind: Kind
    metric: str
    # The metric, without attributes, that each value is divided by.
    per: str = ""
    operator: Operator = Operator.GT
    warning: float | None = None
    critical: float | None = None
    matchers: tuple[Matcher, ...] = field(default=())
    aggregation: Aggregation = Aggregation.LAST
    window_s: float = 0
    for_s: float = 0
    clear: float | None = None
    clear_for_s: float = 0
    no_data: NoData = NoData.IGNORE
    horizon_s: float = 0

    @cached_property
    def levels(self) -> tuple[tuple[Severity, float], ...]:
        """The thresholds, the gravest first, as float32 like the samples.

        0.9 as a float32 is a little less than 0.9: `>= 90 %` must hold for it.
        """
        both = ((Severity.CRITICAL, self.critical), (Severity.WARNING, self.warning))
        return tuple(
            (severity, as_single(value))
            for severity, value in both
            if value is not None
        )

    @property
    def mildest(self) -> Severity:
        """What the rule says first: a warning, if it has such a level."""
        return self.levels[-1][0]

    @property
    def is_streamed(self) -> bool:
        """Whether each sample is judged as it comes."""
        return self.kind in (Kind.THRESHOLD, Kind.CHANGE)

    @property
    def window_is_change(self) -> bool:
        """Whether thresholds are of a change, and not of the metric itself."""
        return self.aggregation in (Aggregation.RATE, Aggregation.CHANGE)


def as_single(value: float) -> float:
    return float(np.float32(value))
