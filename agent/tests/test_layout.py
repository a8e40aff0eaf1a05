from __future__ import annotations

import math
import struct

import pytest
from sysmonstm_agent.layout import Layouts
from sysmonstm_agent.metric import NAN, Metric, Reading
from sysmonstm_agent.wire import layout_message
from sysmonstm_proto import limits

ROOM = Metric("system.filesystem.utilization", "1", "How full it is.")
LOAD = Metric("system.cpu.load_average.1m", "{thread}", "How busy it is.")


def at(value: float, mountpoint: str) -> Reading:
    return Reading(ROOM, value, {"mountpoint": mountpoint})


def floats(values: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(values) // 4}f", values)


def test_values_follow_the_order_of_the_layout() -> None:
    layouts = Layouts()
    first, _ = layouts.arrange([at(0.25, "/"), Reading(LOAD, 2.0)])

    layout, values = layouts.arrange([Reading(LOAD, 3.0), at(0.5, "/")])

    assert layout is first
    assert [series.metric for series in layout.series] == [ROOM, LOAD]
    assert floats(values) == (0.5, 3.0)


def test_the_layout_changes_only_when_the_set_of_series_does() -> None:
    layouts = Layouts()
    first, _ = layouts.arrange([at(0.25, "/")])
    same, _ = layouts.arrange([at(NAN, "/")])
    more, values = layouts.arrange([at(0.25, "/"), at(0.75, "/home")])
    fewer, _ = layouts.arrange([at(0.25, "/")])

    assert same is first
    assert more != first
    assert floats(values) == (0.25, 0.75)
    assert fewer == first


def test_of_a_series_that_was_read_twice_the_last_counts() -> None:
    layouts = Layouts()

    for _ in range(2):
        layout, values = layouts.arrange([at(1, "/"), at(2, "/home"), at(3, "/")])

        assert len(layout.series) == 2
        assert floats(values) == (3, 2)


def test_what_is_no_number_travels_as_nan() -> None:
    _, values = Layouts().arrange([at(math.inf, "/"), at(NAN, "/home")])

    assert all(math.isnan(value) for value in floats(values))


def test_more_series_than_the_wire_takes_are_cut_off_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    layouts = Layouts()
    readings = [at(n, f"/{n}") for n in range(limits.MAX_SERIES + 5)]

    layout, values = layouts.arrange(readings)
    layouts.arrange(readings)

    assert len(layout.series) == limits.MAX_SERIES
    assert floats(values)[-1] == limits.MAX_SERIES - 1
    (record,) = caplog.records
    assert (record.message, record.__dict__["fields"]) == (
        "layout.overflow",
        {"dropped": 5},
    )


def test_the_longest_layout_fits_a_message() -> None:
    long = "x" * limits.MAX_TEXT_BYTES
    readings = [
        Reading(ROOM, 1, {f"{key}{long}"[:128]: f"{n}{long}"[:128] for key in "abcd"})
        for n in range(limits.MAX_SERIES)
    ]

    layout, values = Layouts().arrange(readings)

    assert 0 < len(layout.series) < limits.MAX_SERIES
    assert len(values) == 4 * len(layout.series)
    assert layout_message(layout, 1).ByteSize() <= limits.MAX_MESSAGE_BYTES


def test_long_names_are_cut_to_fit_and_stay_different() -> None:
    beginning = "/srv/" + "ü" * 100
    layout, _ = Layouts().arrange([at(1, beginning + "a"), at(2, beginning + "b")])

    texts = [series.attributes[0][1] for series in layout.series]

    assert len(set(texts)) == 2
    assert all(len(text.encode()) <= limits.MAX_TEXT_BYTES for text in texts)
    assert all(text.startswith("/srv/üüü") for text in texts)


def test_names_that_are_no_text_are_spelled_out() -> None:
    # As Python reads a name of the byte FF; the wire carries only UTF-8.
    layout, _ = Layouts().arrange([at(1, "/a\nb"), at(2, "/\udcff")])

    texts = [series.attributes[0][1] for series in layout.series]

    assert texts == ["/a\\nb", "/\\udcff"]
