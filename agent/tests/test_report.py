from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sysmonstm_agent.metric import NAN, Metric, Reading
from sysmonstm_agent.report import humanise, table


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1234, "1", "12.3 %"),
        (0, "By", "0 B"),
        (1023, "By", "1023 B"),
        (1536, "By", "1.5 KiB"),
        (25_276_710_912, "By", "23.5 GiB"),
        (5 * 1024**5, "By", "5120.0 TiB"),
        (2_048_000, "By/s", "2.0 MiB/s"),
        (0.00042, "s", "0.42 ms"),
        (7_200, "s", "2.0 h"),
        (100 * 86_400, "s", "100.0 d"),
        (45.5, "Cel", "45.5 °C"),
        (17, "{connection}", "17 connection"),
        (0.52, "{thread}", "0.52 thread"),
        (2.5, "{operation}/s", "2.50 operation/s"),
        (NAN, "By/s", "- "),
    ],
)
def test_numbers_as_people_read_them(value: float, unit: str, text: str) -> None:
    reading = Reading(Metric("system.some.thing", unit, "Something."), value)

    assert " ".join(humanise(reading)) == text


def test_a_table_is_grouped_and_aligned() -> None:
    io = Metric("system.disk.io", "By/s", "Traffic.")
    load = Metric("system.cpu.load_average.1m", "{thread}", "Load.")
    own = Metric("sysmonstm.agent.collector.success", "1", "It worked.")
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    readings = [
        Reading(own, 1, {"collector": "disk"}),
        Reading(io, 2048, {"system.device": "sda", "disk.io.direction": "read"}),
        Reading(load, 0.5),
        Reading(io, NAN, {"system.device": "sda\x1b", "disk.io.direction": "write"}),
    ]

    _, *lines = table("web-1", now, readings).splitlines()

    assert lines == [
        "system.disk.io",
        "  device=sda direction=read         2.0 KiB/s",
        "  device=sda? direction=write         -",
        "system.cpu.load_average.1m         0.50 thread",
        "sysmonstm.agent.collector.success",
        "  collector=disk                      1",
    ]
