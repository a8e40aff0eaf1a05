from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alerts.axis import MOST, ticks


@pytest.mark.parametrize(
    ("low", "high", "unit", "texts"),
    [
        (0.0, 1.0, "1", ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]),
        (0.905, 0.953, "1", ["91 %", "92 %", "93 %", "94 %", "95 %"]),
        (0, 3 * 1024**3, "By", ["0 B", "1 GiB", "2 GiB", "3 GiB"]),
        (0, 4.2e6, "By/s", ["0 B/s", "1 MB/s", "2 MB/s", "3 MB/s", "4 MB/s"]),
        (0, 4 * 3600, "s", ["0 s", "1 h", "2 h", "3 h", "4 h"]),
        (0, 0.045 / 3600, "1/s", ["0 %/h", "1 %/h", "2 %/h", "3 %/h", "4 %/h"]),
        (0, 4.5 / 3600, "Cel/s", ["0 °C/h", "1 °C/h", "2 °C/h", "3 °C/h", "4 °C/h"]),
        (1000.05, 1000.5, "", ["1000.1", "1000.2", "1000.3", "1000.4", "1000.5"]),
        (7.0, 7.0, "Cel", ["7 °C"]),
    ],
)
def test_an_axis_has_round_numbers(
    low: float, high: float, unit: str, texts: list[str]
) -> None:
    assert [text for _, text in ticks(low, high, unit)] == texts


@given(
    st.floats(-1e12, 1e12),
    st.floats(1e-6, 1e12),
    st.sampled_from(["1", "By", "By/s", "s", "Cel", "", "1/s", "{process}"]),
)
def test_an_axis_has_a_few_numbers_of_its_range(
    low: float, span: float, unit: str
) -> None:
    high = low + span
    # Closer to each other than a float can tell.
    if math.ulp(abs(low) + span) * 1e4 > span:
        return

    found = ticks(low, high, unit)

    assert 2 <= len(found) <= MOST + 1
    assert all(low - span / 100 <= value <= high + span / 100 for value, _ in found)
