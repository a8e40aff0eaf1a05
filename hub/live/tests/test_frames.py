from __future__ import annotations

import json
import struct
import subprocess
import sys
from typing import Any

import pytest

from hub.live import frames
from hub.live.frames import FULL, SUMMARY, BadMessage, Card, Reading

CARD = Card("web-1", "Web “one”", 5.0)
NAN = float("nan")


def a_reading(*values: float, summary: dict[str, object] | None = None) -> Reading:
    return Reading(
        time_ms=1_000,
        seen_ms=1_040,
        summary=summary,
        layout=7,
        values=struct.pack(f"<{len(values)}f", *values),
    )


def decoded(encoded: bytes) -> Any:
    return json.loads(encoded)


def test_a_machine_in_the_summary_view() -> None:
    reading = a_reading(0.1, summary={"cpu": 0.25, "memory": None})

    assert decoded(frames.state(SUMMARY, CARD, reading)) == {
        "id": "web-1",
        "title": "Web “one”",
        "time": 1_000,
        "seen": 1_040,
        "interval": 5.0,
        "left": None,
        "summary": {"cpu": 0.25, "memory": None},
    }


def test_the_full_view_adds_the_vector_as_it_was_measured() -> None:
    told = decoded(frames.state(FULL, CARD, a_reading(0.1, 1.5)))

    assert told["layout"] == "7"
    assert told["values"] == [0.1, 1.5]


def test_what_is_not_a_number_is_null() -> None:
    reading = a_reading(NAN, float("inf"), 1.0, summary={"cpu": NAN})

    told = decoded(frames.state(FULL, CARD, reading))

    assert told["values"] == [None, None, 1.0]
    assert told["summary"] == {"cpu": None}


@pytest.mark.parametrize("view", frames.VIEWS)
def test_a_machine_that_never_sent_anything_is_told_with_nulls(view: str) -> None:
    told = decoded(frames.state(view, CARD, None))

    assert told.pop("id") == "web-1"
    assert told.pop("title") == "Web “one”"
    assert told.pop("interval") == 5.0
    assert set(told.values()) == {None}


def test_a_snapshot_holds_states_and_layouts() -> None:
    states = [frames.state(FULL, CARD, a_reading(0.5))]
    layouts = {7: frames.layout([("cpu", "1", [("core", "0")])])}

    told = json.loads(frames.frame("snapshot", 1, 2_000, states, layouts=layouts))

    assert (told["type"], told["n"], told["at"]) == ("snapshot", 1, 2_000)
    assert [machine["id"] for machine in told["machines"]] == ["web-1"]
    assert told["layouts"] == {
        "7": [{"metric": "cpu", "unit": "1", "attributes": {"core": "0"}}]
    }
    assert "gone" not in told
    assert "bus" not in told


def test_a_frame_says_who_is_gone_and_that_the_bus_is_away() -> None:
    told = json.loads(
        frames.frame("changes", 9, 2_000, [], gone=['a "b"'], bus_down=True)
    )

    assert told == {
        "type": "changes",
        "n": 9,
        "at": 2_000,
        "machines": [],
        "gone": ['a "b"'],
        "bus": "down",
    }


def test_a_browser_s_acknowledgement() -> None:
    assert frames.read_ack('{"type":"ack","n":3}') == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ack",
        "{}",
        "[]",
        "3",
        '{"type":"ack"}',
        '{"type":"ack","n":"3"}',
        '{"type":"ack","n":true}',
        '{"type":"ack","n":1.5}',
        '{"type":"ack","n":' + "9" * 400 + "}",
        '{"type":"subscribe","n":1}',
        "[" * 2000 + "]" * 2000,
        "\ud800",
    ],
)
def test_whatever_else_a_browser_says_is_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        frames.read_ack(text)


def test_frames_need_neither_django_nor_a_database() -> None:
    program = (
        "import sys, hub.live.frames;"
        "print([name for name in sys.modules if name.startswith(('django', 'redis'))])"
    )

    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert said.stdout.strip() == "[]"
