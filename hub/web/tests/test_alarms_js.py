"""What a page knows of open alerts, with news of them and without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

pytestmark = pytest.mark.browser

STATIC = Path(__file__).parents[3] / "static" / "js"
PAGE = """<!doctype html><title>Alerts</title>
<a>Alerts <span id="badge" hidden><b></b></span></a>"""


class Hub:
    """Answers for the hub: how many alerts are open, and how often it was asked."""

    def __init__(self) -> None:
        self.open = 0
        self.asked = 0

    def answer(self, route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if name == "open.json":
            self.asked += 1
            told = {"ruled": True, "unanswered": self.open, "level": "warning"}
            route.fulfill(json=told | {"machines": {}})
        elif name.endswith(".js"):
            route.fulfill(path=STATIC / name, content_type="text/javascript")
        else:
            route.fulfill(body=PAGE, content_type="text/html")


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def page(browser: Browser, hub: Hub) -> Iterator[Page]:
    page = browser.new_page()
    page.route("**/*", hub.answer)
    page.goto("http://hub.example/")
    page.evaluate("async () => (window.alarms = await import('/alarms.js'))")
    yield page
    page.close()


def hear(page: Page, **frame: Any) -> None:
    page.evaluate("(frame) => alarms.hear(frame)", {"type": "changes"} | frame)


def test_news_are_read_and_other_frames_are_not(page: Page, hub: Hub) -> None:
    hear(page)
    page.wait_for_timeout(700)
    assert hub.asked == 0

    hub.open = 2
    hear(page, alerts=[{"alert": 1}])

    expect(page.locator("#badge b")).to_have_text("2")
    expect(page).to_have_title("(2) Alerts")
    assert hub.asked == 1


def test_while_the_hub_hears_no_events_each_heartbeat_asks(
    page: Page, hub: Hub
) -> None:
    hear(page, bus="down")
    page.wait_for_timeout(700)
    hub.open = 1
    hear(page, bus="down")
    expect(page.locator("#badge b")).to_have_text("1")

    # What was missed meanwhile is read with the first frame after it.
    hub.open = 3
    hear(page)
    expect(page.locator("#badge b")).to_have_text("3")
    hear(page)
    page.wait_for_timeout(700)
    assert hub.asked == 3
