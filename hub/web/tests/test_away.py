"""What pages say while the database or Redis is away: a whole hub, really without."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from hub.testing import hubs
from hub.testing.oracle import residents
from hub.web.tests.test_browser import accessibility

pytestmark = [pytest.mark.process, pytest.mark.browser, pytest.mark.lasts]

# A bar asks every ten seconds, a probe waits for two.
BAR_MS = 60_000
LIVE_MS = 60_000
# A test sample that was under way counts as late for a round of thirty seconds, and
# so may the next one, before one is on time again.
WELL_MS = 120_000


def test_pages_say_what_is_away_and_go_on_by_themselves(
    browser: Browser, tmp_path: Path
) -> None:
    with (
        residents.database(tmp_path) as database,
        residents.cache(tmp_path) as cache,
        hubs.embedded(
            tmp_path / "hub",
            TIMESCALE_URL=database.url,
            REDIS_URL=cache.url,
            COLLECTOR_COLLECTION_INTERVAL="1",
        ) as hub,
    ):
        page, late = browser.new_page(), browser.new_context()
        page.goto(hub.link)
        late.add_cookies(page.context.cookies())  # type: ignore[arg-type]
        bar = page.locator("#hub-bar")
        expect(page.locator("#rows .seen")).to_have_text("just now", timeout=LIVE_MS)
        expect(bar).to_be_hidden()

        database.kill()
        expect(bar).to_contain_text(
            re.compile(r"Database away since \d.*Values are live only"), timeout=BAR_MS
        )
        assert accessibility(page) == []
        expect_new_values(page)
        expect(page.locator("#link")).to_be_hidden()

        # Whoever comes now is told, and brought in when it is over.
        second = late.new_page()
        second.goto(hub.web)
        expect(second.locator("h1")).to_have_text("The database is away")
        assert accessibility(second) == []

        database.start()
        expect(bar).to_be_hidden(timeout=WELL_MS)
        expect(second.locator("#headline")).to_contain_text("machine", timeout=BAR_MS)
        expect_new_values(page)

        cache.kill()
        expect(bar).to_contain_text(
            re.compile(r"Live updates pause since \d.*\. Redis is away"), timeout=BAR_MS
        )
        expect(page.locator("#link")).to_be_hidden()
        page.reload()
        expect(page.locator("#rows .cpu .n")).to_have_text(re.compile(r"\d"))
        expect(bar).to_contain_text("Redis is away", timeout=BAR_MS)

        cache.start()
        expect(bar).to_be_hidden(timeout=WELL_MS)
        expect_new_values(page)
        late.close()
        page.close()


def expect_new_values(page: Page) -> None:
    """Wait for two more samples in the first row."""
    for _ in range(2):
        seen = page.locator("#rows .seen time").first
        before = seen.get_attribute("datetime")
        assert before
        expect(seen).not_to_have_attribute("datetime", before, timeout=LIVE_MS)
