from __future__ import annotations

import struct
from math import inf, nan
from typing import Any

import pytest
from django.db import connection

from hub.machines.models import Machine
from hub.storage import layouts, raw
from hub.storage.layouts import LayoutInfo
from hub.storage.tests.conftest import arriving, sample, series, vector

# Bit patterns of float32 at its edges and some that look like nothing special.
BITS = [
    0x00000000,  # 0
    0x00000001,  # the smallest number
    0x007FFFFF,  # the greatest subnormal
    0x00800000,  # the smallest normal number
    0x3DCCCCCD,  # 0.1
    0x3F800000,  # 1
    0x4B800001,  # beyond 2^24
    0x7F7FFFFF,  # the greatest number
    0xC2F6E979,  # -123.456
    0xFF7FFFFF,  # the least number
    0x7F800000,  # infinity
    0xFF800000,  # minus infinity
]


def rows(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def test_each_value_is_a_plain_row(machine: Machine) -> None:
    disk = series("system.disk.io", **{"system.device": "sda"})
    layout = layouts.learn([series("system.cpu.utilization"), disk])
    raw.write(arriving([sample(machine.pk, layout.id, 1, 0.25, 1e6, at_s=1.5)]))

    found = rows(
        "SELECT CAST(time AS text), machine, metric, CAST(attributes AS text), value"
        " FROM metric_points ORDER BY metric"
    )

    [cpu, io] = found
    assert cpu[0].startswith("2026-03-01 12:00:01.5")
    assert cpu[1:] == ("web-1", "system.cpu.utilization", "{}", 0.25)
    assert io[1:] == ("web-1", "system.disk.io", '{"system.device": "sda"}', 1e6)


def test_a_missing_reading_has_no_row(machine: Machine, layout: LayoutInfo) -> None:
    raw.write(arriving([sample(machine.pk, layout.id, 1, nan, 5)]))

    assert rows("SELECT metric, value FROM metric_points") == [("system.uptime", 5)]


def test_every_kind_of_float_comes_out_exactly(machine: Machine) -> None:
    values = [struct.unpack("<f", struct.pack("<I", bits))[0] for bits in BITS]
    layout = layouts.learn([series(f"m{n:02}") for n in range(len(values))])
    raw.write(arriving([sample(machine.pk, layout.id, 1, *values)]))

    # As text, PostgreSQL shortens a float4 that it is asked for.
    found = rows(
        "SELECT CAST(value AS double precision) FROM metric_points ORDER BY metric"
    )

    assert [value for (value,) in found] == values
    assert values[-2:] == [inf, -inf]


@pytest.mark.parametrize("seed", range(3))
def test_any_bits_are_read_as_python_does(machine: Machine, seed: int) -> None:
    # A fixed walk through the bit patterns, wide apart.
    patterns = [(n * 2_654_435_761 + seed * 97) % 2**32 for n in range(500)]
    values = [struct.unpack("<f", struct.pack("<I", bits))[0] for bits in patterns]
    numbers = [value for value in values if value == value]
    layout = layouts.learn([series(f"m{n:04}") for n in range(len(numbers))])
    tick = sample(machine.pk, layout.id, 1, *numbers)
    assert tick.values == vector(*numbers)
    raw.write(arriving([tick]))

    # As text, PostgreSQL shortens a float4 that it is asked for.
    found = rows(
        "SELECT CAST(value AS double precision) FROM metric_points ORDER BY metric"
    )

    assert [value for (value,) in found] == numbers
