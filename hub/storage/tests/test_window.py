from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import nan

import pytest

from hub.machines.models import Machine
from hub.storage import layouts, raw
from hub.storage.layouts import LayoutInfo
from hub.storage.tests.conftest import NOON_MS, arriving, sample, series
from hub.storage.window import Selector, WindowSeries, window

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CPU, UPTIME = "system.cpu.utilization", "system.uptime"


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def points(found: WindowSeries) -> list[tuple[float, float]]:
    """Return (seconds after noon, average)."""
    times = (found.time_ms - NOON_MS) / 1000
    return list(zip(times.tolist(), found.avg.tolist(), strict=True))


def store(machine: Machine, layout: LayoutInfo, *ticks: tuple[float, ...]) -> None:
    """Store (seconds after noon, values…), numbered onwards from the cursor."""
    known = raw.cursor(machine.pk, b"e" * 16)
    raw.write(
        arriving(
            [
                sample(machine.pk, layout.id, known + n, *values, at_s=at_s)
                for n, (at_s, *values) in enumerate(ticks, start=1)
            ]
        )
    )


def test_what_fits_comes_as_it_was_sampled(
    machine: Machine, layout: LayoutInfo
) -> None:
    store(machine, layout, (0.5, 0.25, 100), (5.5, 0.5, 105), (10.5, 0.75, 110))

    found = window(machine, None, NOON, at(60))

    assert (found.tier, found.step_s, found.start, found.end) == (
        "raw",
        5,
        NOON,
        at(60),
    )
    cpu, uptime = found.series
    assert (cpu.info.metric, uptime.info.metric) == (CPU, UPTIME)
    assert points(cpu) == [(0.5, 0.25), (5.5, 0.5), (10.5, 0.75)]
    assert points(uptime) == [(0.5, 100), (5.5, 105), (10.5, 110)]
    assert cpu.min.tolist() == cpu.max.tolist() == [0.25, 0.5, 0.75]


def test_the_start_is_in_and_the_end_is_out(
    machine: Machine, layout: LayoutInfo
) -> None:
    store(machine, layout, (-5, 1, 0), (0, 2, 0), (5, 3, 0), (10, 4, 0))

    [cpu] = window(machine, [Selector(CPU)], NOON, at(10)).series

    assert points(cpu) == [(0, 2), (5, 3)]


def test_many_rows_become_buckets_of_min_average_and_max(
    machine: Machine, layout: LayoutInfo
) -> None:
    store(machine, layout, (0, 1, 0), (5, 2, 0), (10, 6, 0), (20, 8, 0), (25, 9, 0))

    found = window(machine, [Selector(CPU)], NOON, at(40), points=2)

    [cpu] = found.series
    assert found.step_s == 20
    assert points(cpu) == [(0, 3), (20, 8.5)]
    assert cpu.min.tolist() == [1, 8]
    assert cpu.max.tolist() == [6, 9]


def test_a_gap_is_absent(machine: Machine, layout: LayoutInfo) -> None:
    store(machine, layout, (0, 1, 0), (5, 1, 0), (60, 2, 0))

    [cpu] = window(machine, [Selector(CPU)], NOON, at(100), points=10).series

    assert points(cpu) == [(0, 1), (60, 2)]


def test_a_missing_reading_is_absent_for_its_series_alone(
    machine: Machine, layout: LayoutInfo
) -> None:
    store(machine, layout, (0, 1, nan), (5, nan, 5), (10, 3, nan))

    cpu, uptime = window(machine, None, NOON, at(60)).series

    assert points(cpu) == [(0, 1), (10, 3)]
    assert points(uptime) == [(5, 5)]


def test_a_missing_reading_does_not_spoil_its_bucket(
    machine: Machine, layout: LayoutInfo
) -> None:
    store(machine, layout, (0, 1, nan), (5, nan, nan), (10, 3, 7), (20, nan, nan))

    cpu, uptime = window(machine, None, NOON, at(40), points=2).series

    assert points(cpu) == [(0, 2)]
    assert (cpu.min.tolist(), cpu.max.tolist()) == ([1], [3])
    assert points(uptime) == [(0, 7)]


def test_a_series_that_never_read_anything_is_absent(
    machine: Machine, layout: LayoutInfo
) -> None:
    store(machine, layout, (0, 1, nan))

    [only] = window(machine, None, NOON, at(60)).series

    assert only.info.metric == CPU


def test_a_series_goes_on_through_a_change_of_layout(
    machine: Machine, layout: LayoutInfo
) -> None:
    disk = series("system.filesystem.utilization", mountpoint="/")
    after = layouts.learn([disk, layout.series[0]])
    store(machine, layout, (0, 0.25, 100), (5, 0.5, 105))
    store(machine, after, (10, 0.75, 0.5), (15, 0.875, 1))

    found = window(machine, None, NOON, at(60))

    by_metric = {one.info.metric: points(one) for one in found.series}
    assert by_metric == {
        disk.metric: [(10, 0.75), (15, 0.875)],
        CPU: [(0, 0.25), (5, 0.5), (10, 0.5), (15, 1)],
        UPTIME: [(0, 100), (5, 105)],
    }


def test_a_bucket_joins_two_layouts(machine: Machine, layout: LayoutInfo) -> None:
    after = layouts.learn([layout.series[0]])
    store(machine, layout, (0, 1, 100), (5, 2, 105))
    store(machine, after, (10, 6))

    [cpu] = window(machine, [Selector(CPU)], NOON, at(20), points=1).series

    assert points(cpu) == [(0, 3)]


def test_selectors_take_the_series_with_these_attributes(machine: Machine) -> None:
    core = {"cpu.logical_number": "0"}
    layout = layouts.learn(
        [
            series(CPU),
            series(CPU, **core),
            series("io", device="sda", direction="read"),
            series("io", device="sdb", direction="read"),
        ]
    )
    store(machine, layout, (0, 1, 2, 3, 4))

    def chosen(*selectors: Selector) -> list[float]:
        found = window(machine, selectors, NOON, at(60)).series
        return [value for one in found for value in one.avg.tolist()]

    assert chosen(Selector(CPU)) == [1, 2]
    assert chosen(Selector(CPU, core)) == [2]
    assert chosen(Selector("io", {"direction": "read"})) == [3, 4]
    assert chosen(Selector("io", {"device": "sdb"}), Selector(CPU, core)) == [2, 4]
    assert chosen(Selector("io", {"device": "sdc"}), Selector("other")) == []


def test_buckets_do_not_move_with_the_window(
    machine: Machine, layout: LayoutInfo
) -> None:
    store(machine, layout, *((5 * n, n, 0) for n in range(24)))

    now = window(machine, [Selector(CPU)], at(1), at(101), points=5)
    later = window(machine, [Selector(CPU)], at(19), at(119), points=5)

    assert (now.start, now.end) == (NOON, at(120))
    assert (later.start, later.end) == (NOON, at(120))
    assert points(now.series[0]) == points(later.series[0])
    assert points(now.series[0])[0] == (0, 1.5)


def test_an_empty_or_upside_down_range_has_no_series(
    machine: Machine, layout: LayoutInfo
) -> None:
    store(machine, layout, (0, 1, 2))

    assert window(machine, None, at(100), at(200)).series == []
    assert window(machine, None, NOON, NOON).series == []
    assert window(machine, None, at(60), NOON).series == []


def test_another_machines_samples_stay_its_own(
    machine: Machine, layout: LayoutInfo
) -> None:
    other = Machine.objects.create(machine_id="web-2")
    store(machine, layout, (0, 1, 2))
    store(other, layout, (0, 3, 4))

    [cpu, _] = window(machine, None, NOON, at(60)).series

    assert points(cpu) == [(0, 1)]


@pytest.mark.parametrize(
    ("seconds", "asked", "step_s"),
    [(3600, 720, 5), (3600, 600, 10), (86_400, 600, 300), (7 * 86_400, 300, 3600)],
)
def test_the_step_is_one_that_divides_the_clock(
    machine: Machine, seconds: int, asked: int, step_s: float
) -> None:
    assert window(machine, None, NOON, at(seconds), points=asked).step_s == step_s


def test_points_are_bounded(machine: Machine) -> None:
    machine.interval_s = 0.1

    found = window(machine, None, NOON, at(86_400), points=1_000_000)

    assert found.step_s == 20
