from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest

from hub.alerts.conditions import aggregate, judge
from hub.alerts.spec import Aggregation, Operator, Severity
from hub.alerts.tests.scenes import spec


@pytest.mark.parametrize(
    ("operator", "below", "at", "above"),
    [
        (Operator.GT, False, False, True),
        (Operator.GTE, False, True, True),
        (Operator.LT, True, False, False),
        (Operator.LTE, True, True, False),
        (Operator.EQ, False, True, False),
        (Operator.NE, True, False, True),
    ],
)
def test_an_operator_compares(
    operator: Operator, *, below: bool, at: bool, above: bool
) -> None:
    rule = spec(operator=operator, warning=0.9)
    # As a sample brings them: float32.
    values = np.array([0.8, 0.9, 0.95], np.float32).tolist()

    found = [judge(rule, value) for value in values]

    assert [r is not None and r.severity is Severity.WARNING for r in found] == [
        below,
        at,
        above,
    ]


def test_without_a_reading_nothing_is_judged() -> None:
    assert judge(spec(), nan) is None


@pytest.mark.parametrize(
    ("operator", "value", "is_clear"),
    [
        (Operator.GT, 0.75, False),
        (Operator.GT, 0.7, True),
        (Operator.LT, 0.85, False),
        (Operator.LT, 0.95, True),
    ],
)
def test_between_the_thresholds_is_neither(
    operator: Operator, value: float, *, is_clear: bool
) -> None:
    clear = 0.7 if operator is Operator.GT else 0.9
    single = float(np.float32(value))

    found = judge(spec(operator=operator, warning=0.8, clear=clear), single)

    assert found is not None
    assert found.is_clear is is_clear


TIMES = np.array([0, 5000, 10_000, 15_000, 20_000], np.int64)
ROWS = np.array(
    [[9, 9, 1], [1, nan, 1], [2, 4, nan], [3, 6, nan], [6, nan, nan]], np.float32
)


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        (Aggregation.AVG, [3, 5, nan]),
        (Aggregation.MIN, [1, 4, nan]),
        (Aggregation.MAX, [6, 6, nan]),
        (Aggregation.CHANGE, [5, nan, nan]),
        (Aggregation.RATE, [5 / 15, nan, nan]),
    ],
)
def test_a_window_becomes_one_value(
    aggregation: Aggregation, expected: list[float]
) -> None:
    found = aggregate(aggregation, 15, TIMES, ROWS)

    assert found.tolist() == pytest.approx(expected, nan_ok=True)


def test_a_window_that_is_not_covered_yet_says_nothing() -> None:
    assert isnan(aggregate(Aggregation.AVG, 60, TIMES, ROWS)[0])
