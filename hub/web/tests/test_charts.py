from __future__ import annotations

import json
import struct
from datetime import UTC, datetime

import numpy as np
import pytest

from hub.storage.layouts import SeriesInfo
from hub.storage.window import Window, WindowSeries
from hub.web.describe import describe
from hub.web.points import axis, encode

START = datetime(2026, 11, 20, 5, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
CPU = "system.cpu.utilization"


def line(
    metric: str, seconds: list[int], values: list[float], **told: str
) -> WindowSeries:
    points = np.array(values, np.float32)
    info = SeriesInfo(metric, "1", "gauge", "", tuple(sorted(told.items())))
    times = START_MS + np.array(seconds, np.int64) * 1000
    return WindowSeries(info, times, points - 0.01, points, points + 0.01)


def window(*series: WindowSeries) -> Window:
    return Window("raw", 5.0, START, START, list(series))


def unpack(body: bytes) -> tuple[dict, np.ndarray, list[np.ndarray]]:  # type: ignore[type-arg]
    """Read the body as the browser does."""
    (length,) = struct.unpack_from("<I", body)
    head = json.loads(body[4 : 4 + length])
    at, points = 4 + length, head["points"]
    assert at % 8 == 0
    times = np.frombuffer(body, "<f8", points, at)
    rest = np.frombuffer(body, "<f4", offset=at + 8 * points)
    return head, times, list(rest.reshape(-1, points)) if points else []


def mode(name: str, seconds: list[int], values: list[float]) -> WindowSeries:
    return line(CPU, seconds, values, **{"cpu.mode": name})


def test_every_series_lies_on_one_axis_and_a_gap_breaks_all_lines() -> None:
    body = encode(
        window(
            mode("user", [0, 5, 60, 65], [0.1, 0.2, 0.3, 0.4]),
            mode("system", [5, 60], [0.5, 0.6]),
        ),
        folded=False,
    )

    head, times, [user, system] = unpack(body)

    assert ((times - START_MS) / 1000).tolist() == [0, 5, 10, 60, 65]
    np.testing.assert_allclose(user, [0.1, 0.2, np.nan, 0.3, 0.4], rtol=1e-6)
    np.testing.assert_allclose(system, [np.nan, 0.5, np.nan, 0.6, np.nan], rtol=1e-6)
    assert [entry["attributes"] for entry in head["series"]] == [
        {"cpu.mode": "user"},
        {"cpu.mode": "system"},
    ]


def test_one_late_tick_is_no_gap() -> None:
    times = axis(window(mode("user", [0, 12, 17], [0.1, 0.2, 0.3])))

    assert len(times) == 3


def test_folded_points_bring_their_band() -> None:
    body = encode(window(mode("user", [0, 5], [0.1, 0.2])), folded=True)

    _, _, [average, low, high] = unpack(body)

    np.testing.assert_allclose(average, [0.1, 0.2], rtol=1e-6)
    np.testing.assert_allclose(low, [0.09, 0.19], rtol=1e-6)
    np.testing.assert_allclose(high, [0.11, 0.21], rtol=1e-6)


def test_nothing_is_an_answer_too() -> None:
    head, times, series = unpack(encode(window(), folded=False))

    assert head["charts"] == []
    assert times.size == 0
    assert series == []


def test_modes_keep_their_order_whatever_the_agent_sends_first() -> None:
    described, _ = describe([mode("system", [0], [0]), mode("user", [0], [0])])

    assert [line["label"] for line in described[0]["lines"]] == ["user", "system"]


def test_the_overall_cpu_is_neither_a_mode_nor_a_core() -> None:
    described, used = describe([line(CPU, [0], [0.5]), mode("user", [0], [0.5])])

    assert [chart["id"] for chart in described] == ["cpu"]
    assert len(used) == 1


def test_directions_of_an_interface_share_a_colour_and_part_at_zero() -> None:
    io = "system.network.io"
    told = {"network.interface.name": "eth0"}
    described, _ = describe(
        [
            line(io, [0], [1], **told, **{"network.io.direction": "receive"}),
            line(io, [0], [1], **told, **{"network.io.direction": "transmit"}),
        ]
    )

    [receive, transmit] = described[0]["lines"]
    assert (receive["label"], receive["down"]) == ("eth0 received", False)
    assert (transmit["label"], transmit["down"]) == ("eth0 sent", True)
    assert receive["colour"] == transmit["colour"] == 0


@pytest.mark.parametrize(("cores", "shape"), [(8, "lines"), (9, "spread")])
def test_more_cores_than_colours_are_told_as_a_spread(cores: int, shape: str) -> None:
    found = [
        line(CPU, [0], [0.1], **{"cpu.logical_number": str(core)})
        for core in range(cores)
    ]

    described, used = describe(found)

    assert described[0]["shape"] == shape
    assert len(used) == cores


def test_of_too_many_mounts_the_fullest_are_drawn_and_the_rest_is_told() -> None:
    mount = "system.filesystem.mountpoint"
    found = [
        line(
            "system.filesystem.utilization", [0], [number / 20], **{mount: f"/{number}"}
        )
        for number in range(11)
    ]

    described, _ = describe(found)

    labels = [line["label"] for line in described[0]["lines"]]
    assert labels == [f"/{number}" for number in range(3, 11)]
    assert described[0]["left_out"] == 3


def test_a_comparison_line_is_only_there_with_its_numbers() -> None:
    load = line("system.cpu.load_average.1m", [0], [1])
    cores = line("system.cpu.logical.count", [0], [4])

    assert describe([load])[0][0]["mark"] is None
    assert describe([load, cores])[0][0]["mark"] == {
        "series": 1,
        "label": "cores",
        "unit": "1",
    }
