from __future__ import annotations

import pytest

from hub.machines.presence import Presence
from hub.storage.summary import Summary
from hub.web import rows
from hub.web.headline import headline
from hub.web.levels import level
from hub.web.rows import Row


def summary(**some: float | str | None) -> Summary:
    return {**dict.fromkeys(Summary.__annotations__), **some}  # type: ignore[typeddict-item]


def row(
    name: str, state: str = "online", tags: tuple[str, ...] = (), **some: float
) -> Row:
    seen_ms = None if state == "never" else 1_790_000_000_000
    shown = summary(**some) if some else None
    return Row(name, name, state, seen_ms, 1.0, shown, tags=tags)


def names(found: list[Row]) -> list[str]:
    return [row.title for row in found]


@pytest.mark.parametrize(
    ("name", "value", "reached"),
    [
        ("disk", 0.849, ""),
        ("disk", 0.85, "warning"),
        ("disk", 0.95, "critical"),
        ("memory", 0.97, "critical"),
        ("cpu", 0.95, "warning"),
        ("cpu", 1.0, "warning"),
        ("cpu", None, ""),
    ],
)
def test_a_level_begins_at_its_limit(
    name: str, value: float | None, reached: str
) -> None:
    assert level(name, value) == reached


@pytest.mark.parametrize(
    ("there", "disk", "state"),
    [
        (Presence.ONLINE, 0.5, "online"),
        (Presence.ONLINE, 0.9, "warning"),
        (Presence.ONLINE, 0.99, "critical"),
        (Presence.STALE, 0.9, "stale"),
        (Presence.STALE, 0.99, "critical"),
        (Presence.OFFLINE, 0.99, "offline"),
        (Presence.STOPPED, 0.99, "stopped"),
    ],
)
def test_a_state_is_the_worst_that_holds(
    there: Presence, disk: float, state: str
) -> None:
    assert rows.state(there, summary(disk=disk)) == state


def test_a_stopped_machine_still_says_what_is_open() -> None:
    assert rows.state(Presence.STOPPED, summary(), "critical") == "critical"
    assert rows.state(Presence.STOPPED, summary(), "") == "stopped"


def test_a_busy_processor_makes_no_state() -> None:
    assert rows.state(Presence.ONLINE, summary(cpu=1.0)) == "online"


def test_the_worst_comes_first_and_equals_stand_by_name() -> None:
    found = [row("b"), row("Z", "offline"), row("a"), row("m", "warning")]

    assert names(rows.arrange(found, "state")) == ["Z", "m", "a", "b"]
    assert names(rows.arrange(found, "-state")) == ["a", "b", "m", "Z"]
    assert names(rows.arrange(found, "nonsense")) == ["Z", "m", "a", "b"]


def test_numbers_start_with_the_largest_and_unknown_ones_come_last() -> None:
    found = [row("a", cpu=0.1), row("b"), row("c", cpu=0.7)]

    assert names(rows.arrange(found, "cpu")) == ["c", "a", "b"]
    assert names(rows.arrange(found, "-cpu")) == ["a", "c", "b"]


def test_load_is_compared_for_each_core_and_traffic_both_ways() -> None:
    found = [
        row("big", load1=8.0, cores=16.0, rx=1.0, tx=9.0),
        row("small", load1=3.0, cores=1.0, rx=5.0, tx=1.0),
    ]

    assert names(rows.arrange(found, "load")) == ["small", "big"]
    assert names(rows.arrange(found, "network")) == ["big", "small"]


def test_a_filter_finds_every_word_in_name_or_state() -> None:
    web = row("Web-1", "offline")

    assert rows.matches(web, "")
    assert rows.matches(web, "web OFF")
    assert not rows.matches(web, "web online")


def test_a_tag_is_one_of_a_machines_tags_and_may_also_be_typed() -> None:
    web = row("web-1", tags=("blue", "production"))

    assert rows.matches(web, "", "production")
    assert not rows.matches(web, "", "prod")
    assert rows.matches(web, "prod web")
    assert not rows.matches(web, "db", "production")


def test_what_does_not_fit_the_filter_is_there_but_hidden() -> None:
    html = rows.html([row("web-1"), row("db-1")], query="db")

    assert 'data-id="web-1" data-state="online" hidden' in html
    assert 'data-id="db-1" data-state="online">' in html


HOSTILE = """"><img src=x onerror=alert(1)>'{0}&amp;"""


def test_a_hostile_name_is_only_text() -> None:
    found = Row(
        HOSTILE, HOSTILE, "online", 1, 1.0, summary(disk=0.5, disk_mount=HOSTILE)
    )

    html = rows.html([found])

    assert "<img" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") == 5
    assert "%3Cimg" in html
    assert "{0}" in html


@pytest.mark.parametrize(
    ("states", "text"),
    [
        ([], "0 machines"),
        (["online"], "1 machine · all well"),
        (["online"] * 1200, "1,200 machines · all well"),
        (["offline", "online"], "2 machines · 1 needs you"),
        (
            ["offline", "critical", "stale", "warning", "never", "stopped", "online"],
            "7 machines · 2 need you · 1 to watch · 1 stale"
            " · 1 waiting for a first sample · 1 stopped",
        ),
    ],
)
def test_the_headline_answers_the_first_question(states: list[str], text: str) -> None:
    parts = headline(row("x", state) for state in states)

    assert " · ".join(part.text for part in parts) == text
