"""One table of examples, read by Python and by a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

from hub.web.templatetags import units
from hub.web.tests.test_rows import summary

HERE = Path(__file__).parent
STATIC = HERE.parents[2] / "static"
TABLE = json.loads((HERE / "units.json").read_text())
NBSP = "\u00a0"

# Seconds since its last sample, its interval, seconds since its goodbye, memory,
# disk, and what its alerts say.
Case = tuple[float | None, float, float | None, float | None, float | None, str | None]


@pytest.mark.parametrize(("value", "unit", "text"), TABLE["format"])
def test_python_writes_a_number_as_the_table_says(
    value: float | None, unit: str, text: str
) -> None:
    assert units.join(units.parts(value, unit)).replace(NBSP, " ") == text


@pytest.mark.parametrize(("age_s", "text"), TABLE["ago"])
def test_python_writes_an_age_as_the_table_says(age_s: float | None, text: str) -> None:
    assert units.ago(age_s).replace(NBSP, " ") == text


def test_what_is_not_finite_is_no_reading() -> None:
    assert units.percent(float("nan")) == "–"  # noqa: RUF001 - the dash of the page
    assert units.size(float("inf")) == "–"  # noqa: RUF001
    assert units.ago(float("nan")) == "never"


def test_a_number_never_parts_from_its_unit() -> None:
    assert units.size(1288490189) == f"1.2{NBSP}GiB"
    assert units.duration(15120) == f"4{NBSP}h{NBSP}12{NBSP}min"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page that may import the modules under static/js."""

    def from_disk(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if name.endswith(".js"):
            route.fulfill(path=STATIC / "js" / name, content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html>", content_type="text/html")

    page = browser.new_page()
    page.route("**/*", from_disk)
    page.goto("http://static.test/")
    yield page
    page.close()


@pytest.mark.browser
def test_the_browser_writes_what_python_writes(page: Page) -> None:
    written = page.evaluate(
        """async ({format, ago}) => {
            const units = await import("/units.js");
            return {
                format: format.map(([value, unit]) => units.format(value, unit)),
                ago: ago.map(([age]) => units.ago(age)),
            };
        }""",
        TABLE,
    )

    plain = {
        name: [text.replace(NBSP, " ") for text in written[name]] for name in TABLE
    }
    assert plain["format"] == [text for _, _, text in TABLE["format"]]
    assert plain["ago"] == [text for _, text in TABLE["ago"]]


@pytest.mark.browser
def test_the_browser_judges_machines_as_python_does(page: Page) -> None:
    from hub.machines.presence import Presence, presence
    from hub.web.alarms import Alarms
    from hub.web.facts import facts
    from hub.web.rows import state

    cases: list[Case] = [
        (age_s, interval_s, left_s, memory, disk, alarm)
        for age_s in (None, 0, 15, 15.1, 45, 60, 61, 3600, 3601)
        for interval_s in (1, 5, 300)
        for left_s in (None, 0, 15, 3600)
        for memory in (None, 0.5, 0.97)
        for disk in (None, 0.84, 0.85, 0.95)
        for alarm in (None, "", "warning", "critical")
    ]

    judged = page.evaluate(
        """async ({cases, facts}) => {
            const {stateOf} = await import("/presence.js");
            return cases.map(([age, interval, gone, memory, disk, alarm]) => {
                const seen = age === null ? null : 1e12 - age * 1000;
                const left = gone === null ? null : 1e12 - gone * 1000;
                const machines = alarm ? {web: {state: alarm}} : {};
                const summary = {memory, disk};
                const machine = {id: "web", seen, interval, left, summary};
                const alarms = {ruled: alarm !== null, machines};
                return stateOf(machine, 1e12, facts, alarms);
            });
        }""",
        {"cases": cases, "facts": facts(Alarms())},
    )

    def by_python(case: Case) -> str:
        age_s, interval_s, left_s, memory, disk, alarm = case
        there = presence(
            seen_ms=None if age_s is None else int(10**12 - age_s * 1000),
            now_ms=10**12,
            interval_s=interval_s,
            left_at=None
            if left_s is None
            else datetime.fromtimestamp(10**9 - left_s, UTC),
        )
        assert isinstance(there, Presence)
        return state(there, summary(memory=memory, disk=disk), alarm)

    assert judged == [by_python(case) for case in cases]
