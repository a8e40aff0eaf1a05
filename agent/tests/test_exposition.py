"""What is taken from Prometheus' text format, and what is not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sysmonstm_agent.exposition import parse
from sysmonstm_agent.metric import Metric, Reading


def read(text: str, *, most: int = 200) -> tuple[list[Reading], list[str]]:
    parsed = parse(text, most=most)
    return parsed.readings, parsed.troubles


def test_a_file_as_programs_write_it() -> None:
    readings, troubles = read(
        "# A word by somebody.\n"
        "# HELP backup_duration_seconds How long the backup took.\n"
        "# TYPE backup_duration_seconds gauge\n"
        'backup_duration_seconds{job="home",target="nas, \\"big\\" one"} 312.5\n'
        "\n"
        "# TYPE mails_total counter\n"
        "mails_total 17 1795163400000\n"
    )

    assert troubles == []
    assert readings == [
        Reading(
            Metric("backup_duration_seconds", "s", "How long the backup took."),
            312.5,
            {"job": "home", "target": 'nas, "big" one'},
        ),
        Reading(Metric("mails_total", "", "", "counter"), 17, {}),
    ]


@pytest.mark.parametrize(
    ("name", "unit", "kind"),
    [
        ("db_size_bytes", "By", "gauge"),
        ("cache_hit_ratio", "1", "gauge"),
        ("room_celsius", "Cel", "gauge"),
        ("sent_bytes_total", "By", "counter"),
        ("queue_length", "", "gauge"),
    ],
)
def test_units_and_kinds_are_told_by_names(name: str, unit: str, kind: str) -> None:
    ((metric, _, _),), _ = read(f"{name} 1")

    assert (metric.unit, metric.kind) == (unit, kind)


def test_a_unit_that_is_said_counts_more_than_the_name() -> None:
    ((metric, _, _),), _ = read("# UNIT stretch_seconds min\nstretch_seconds 3\n")

    assert metric.unit == "min"


def test_histograms_and_summaries_are_left_out_and_told_of_once() -> None:
    readings, troubles = read(
        "# TYPE wait histogram\n"
        'wait_bucket{le="0.1"} 1\nwait_bucket{le="+Inf"} 2\nwait_sum 3\nwait_count 2\n'
        "# TYPE other gauge\nother 1\n"
    )

    assert [r.metric.name for r in readings] == ["other"]
    assert troubles == ["line 1 begins a histogram, which is not taken"]


@pytest.mark.parametrize(
    "line",
    [
        "no_number",
        "no_number x",
        "underlined 1_000",
        "odd infinity",
        'open{label="x} 1',
        'twice{a="1",a="2"} 1',
        "bare{a=1} 1",
        "1st 1",
        "with-dash 1",
        "system.cpu.utilization 0.99",
        "sysmonstm.agent.collector.success 1",
        f"{'a' * 129} 1",
        f'long{{a="{"x" * 4200}"}} 1',
        "many{" + ",".join(f'l{n}="1"' for n in range(65)) + "} 1",
    ],
)
def test_a_bad_line_is_left_out_and_told_of(line: str) -> None:
    readings, troubles = read(f"before 1\n{line}\nafter 2\n")

    assert [r.metric.name for r in readings] == ["before", "after"]
    assert len(troubles) == 1
    assert troubles[0].startswith("line 2 ")


def test_no_number_is_one_that_is_not_known() -> None:
    ((_, value, _),), troubles = read("resting NaN")

    assert math.isnan(value)
    assert troubles == []


def test_labels_make_one_series_in_whatever_order() -> None:
    readings, _ = read('x{b="2",a="1"} 1\nx{a="1", b="2",} 2\n')

    assert readings[0].series == readings[1].series


def test_series_are_bounded() -> None:
    readings, troubles = read("".join(f"m{n} 1\n" for n in range(300)), most=200)

    assert len(readings) == 200
    assert troubles == ["line 201 is beyond the 200 series"]


def test_what_is_said_of_a_file_is_bounded() -> None:
    _, troubles = read("bad\n" * 1000)

    assert len(troubles) == 5


def test_when_a_file_expires() -> None:
    assert parse("# EXPIRES 1795163400\nx 1", most=1).expires_s == 1795163400
    assert parse("x 1", most=1).expires_s == math.inf


@given(st.text(max_size=300))
def test_no_text_is_too_odd(text: str) -> None:
    parsed = parse(text, most=10)

    assert len(parsed.readings) <= 10


@given(st.text(max_size=60), st.text(max_size=60))
def test_labels_come_out_as_they_went_in(one: str, other: str) -> None:
    def escape(text: str) -> str:
        text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        # What ends a line for Python; a file with these in it has more lines.
        return "".join(c for c in text if len(f"a{c}a".splitlines()) == 1)

    expected = [
        "".join(c for c in text if c == "\n" or len(f"a{c}a".splitlines()) == 1)
        for text in (one, other)
    ]
    readings, _ = read(f'x{{a="{escape(one)}",b="{escape(other)}"}} 1')

    assert [dict(r.attributes) for r in readings] == [
        {"a": expected[0], "b": expected[1]}
    ]
