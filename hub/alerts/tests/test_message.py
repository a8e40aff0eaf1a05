from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alerts import text
from hub.alerts.message import Story, compose, note, shown

OPENED = datetime(2026, 3, 1, 12, tzinfo=UTC)

STORY = Story(
    alert=7,
    what="opened",
    over=False,
    severity="critical",
    machine="db-1",
    rule="Disk is nearly full",
    kind="threshold",
    unit="1",
    attributes=(("system.filesystem.mountpoint", "/data"),),
    value=0.931,
    peak=0.952,
    opened_at=OPENED,
    resolved_at=None,
    link="https://hub.example/alerts/7/",
    note="Look at {machine}: {series}. {unknown}",
    runbook="https://wiki.example/disk",
)

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}{% debug %}",
    "${7*7}",
    "{machine}{link}",
    "*bold* _it_ `code` [x](https://evil.example)",
    "<!channel> <@U123> <https://evil.example|click>",
    "@everyone @here",
    "line\r\nBcc: all@example.org",
    "\u202eevil\u2066\u200b",
    "\x00\x1b[31m\x07",
    "javascript:alert(1)",
]


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: set[str | None] = set()
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links |= {value for name, value in attrs if name in ("href", "src")}
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.words += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def test_one_alert_says_what_where_how_much_and_since_when() -> None:
    message = compose([STORY])

    assert message.title == (
        "[critical] Disk is nearly full on db-1 (mountpoint=/data): 93.1 %"
    )
    assert message.text == (
        "CRITICAL: Disk is nearly full on db-1 (mountpoint=/data): 93.1 %\n"
        "Since 2026-03-01 12:00:00 UTC.\n"
        "At the worst 95.2 %.\n"
        "Look at db-1: mountpoint=/data. {unknown}\n"
        "https://wiki.example/disk\n"
        "https://hub.example/alerts/7/"
    )


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ({}, "93.1 %, limit 90 %"),
        ({"kind": "forecast", "value": 7200.0, "limit": 1.0}, "in 2 h, limit 100 %"),
        (
            {"unit": "By/s", "value": 2.0**20, "limit": 2.0**19},
            "1 MiB/s, limit 512 KiB/s",
        ),
    ],
)
def test_the_limit_that_was_crossed_is_named(said: dict[str, Any], value: str) -> None:
    message = compose([replace(STORY, **{"limit": 0.9, **said})])

    for form in (message.title, message.text, read(message.html).words):
        assert f"db-1 (mountpoint=/data): {value}" in form
    down = compose([replace(STORY, kind="down", limit=12.0)])
    assert "limit" not in down.text


def test_what_is_over_says_how_long_it_lasted() -> None:
    over = replace(STORY, over=True, resolved_at=OPENED + timedelta(minutes=75))

    message = compose([over])

    assert message.title == "[resolved] Disk is nearly full on db-1 (mountpoint=/data)"
    assert "Over after 1 h 15 min" in message.text


def test_the_gravest_of_many_comes_first() -> None:
    mild = replace(STORY, alert=1, severity="warning", machine="web-1")
    over = replace(STORY, alert=2, over=True, machine="web-2", resolved_at=OPENED)

    message = compose([over, mild, STORY])

    assert message.title == (
        "[critical] 3 alerts, 1 of them over: Disk is nearly full on db-1, web-1, web-2"
    )
    order = [message.text.index(name) for name in ("on db-1", "on web-1", "on web-2")]
    assert order == sorted(order)


def test_a_subject_of_ones_own_holds_values_and_nothing_else() -> None:
    message = compose([STORY], subject="{machine}|{value}|{password}|{0}|{machine.x}")

    assert message.title == "db-1|93.1 %|{password}|{0}|{machine.x}"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_text_everywhere(name: str) -> None:
    story = replace(
        STORY, machine=name, rule=name, attributes=(("mountpoint", name),), note=name
    )

    for message in (compose([story]), compose([story, replace(story, alert=8)])):
        assert "\n" not in message.title
        assert "\r" not in message.title
        assert not set(message.title) & set("\x00\x1b\x07\u202e\u2066\u200b")
        mail = read(message.html)
        assert mail.tags <= {
            *("html", "head", "meta", "title", "style"),
            *("body", "div", "h1", "a", "p"),
        }
        assert mail.links <= {
            "https://hub.example/alerts/7/",
            "https://wiki.example/disk",
        }
        assert read(message.brief_html).tags <= {"br"}
        for form in (message.text, message.markdown):
            assert "@everyone" not in form
            assert "<!channel" not in form
            assert "<@U" not in form
        # Every mark of Markdown within a name is escaped.
        assert not re.search(r"(?<!\\)[*_`\[\]<>]", _without_links(message.markdown))


def _without_links(markdown: str) -> str:
    return re.sub(r"^https://\S+", "", markdown, flags=re.MULTILINE)


def test_what_a_person_sees_of_a_hostile_name_is_the_name() -> None:
    name = "<script>alert(1)</script>"

    assert name in read(compose([replace(STORY, machine=name)]).html).words


def test_a_message_of_no_alert_is_as_harmless() -> None:
    message = note("Test", "“<b>x</b>”", hub="https://hub.example/?a=1&b=2")

    assert read(message.html).tags.isdisjoint({"b", "script"})
    assert "&amp;b=2" in message.brief_html


@pytest.mark.parametrize(
    ("value", "unit", "kind", "said"),
    [
        (0.931, "1", "threshold", "93.1 %"),
        (1.0, "1", "threshold", "100 %"),
        (5 * 2**30, "By", "threshold", "5 GiB"),
        (1.5e6, "By/s", "threshold", "1.43 MiB/s"),
        (12, "By", "threshold", "12 B"),
        (78.25, "Cel", "threshold", "78.2 °C"),
        (3.14159, "", "threshold", "3.14"),
        (412, "{process}", "threshold", "412"),
        (7200, "s", "threshold", "2 h"),
        (1e300, "By", "threshold", "8.88e+284 PiB"),
        (9000, "1", "forecast", "in 2 h 30 min"),
        (12, "{interval}", "down", ""),
        (None, "1", "threshold", ""),
        (float("nan"), "1", "threshold", ""),
        (float("inf"), "s", "forecast", ""),
    ],
)
def test_a_value_is_said_as_people_read_it(
    value: float | None, unit: str, kind: str, said: str
) -> None:
    assert shown(value, unit, kind) == said


@given(st.text(max_size=300))
def test_any_text_is_one_visible_line(words: str) -> None:
    line = text.plain(words)

    assert len(line) <= text.MAX_LENGTH
    assert line == line.strip()
    assert all(one == " " or one.isprintable() for one in line)


@given(st.text(max_size=100), st.text(max_size=100))
def test_placeholders_are_filled_once(template: str, value: str) -> None:
    filled = text.fill(template.replace("{machine}", ""), {"machine": value})

    # What was not a placeholder is as it was.
    assert filled == template.replace("{machine}", "")
