"""The newcomer's story, in a real browser: start, look, add a machine, lose it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from hub.testing import hubs

pytestmark = [pytest.mark.process, pytest.mark.browser]

# The newcomer is promised ten seconds after the link is there; a busy machine gets
# more.
LIVE_MS = 60_000


@contextmanager
def busy_now_and_then() -> Iterator[None]:
    """Use a core every other second, so that there is something to see move."""
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            until = time.monotonic() + 1
            while time.monotonic() < until:
                sum(range(100_000))
            done.wait(1)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        done.set()
        worker.join()


def test_a_newcomer_sees_machines_come_move_and_go(
    tmp_path: Path, browser: Browser
) -> None:
    errors: list[str] = []
    mine_is = {"COLLECTOR_MACHINE_ID": "mine", "COLLECTOR_COLLECTION_INTERVAL": "1"}
    with hubs.first_start(tmp_path / "var", **mine_is) as hub:
        page = browser.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda said: errors.append(said.text) if said.type == "error" else None,
        )

        # The link signs in and shows this machine, which is already there.
        page.goto(hub.link)
        mine = page.locator('tr[data-id="mine"]')
        expect(mine).to_be_visible(timeout=LIVE_MS)
        cpu = mine.locator(".cpu .n")
        expect(cpu).to_have_text(re.compile(r"\d"), timeout=LIVE_MS)

        # Its numbers move by themselves.
        numbers = mine.locator(":is(.cpu, .memory, .flow, .load) .n")
        before = numbers.all_inner_texts()
        with busy_now_and_then():
            # Any of them: a processor that others use, too, stands at 100 % for long.
            expect(numbers).not_to_have_text(before, timeout=LIVE_MS)
        seen = mine.locator(".seen time")
        moment = seen.get_attribute("datetime")
        assert moment
        expect(seen).not_to_have_attribute("datetime", moment, timeout=LIVE_MS)

        # Another machine appears without a reload.
        page.evaluate("window.neverReloaded = true")
        second = page.locator('tr[data-id="second"]')
        with hubs.agent(hub.grpc, "second", tmp_path / "second.log"):
            expect(second).to_be_visible(timeout=LIVE_MS)
            expect(second).to_have_attribute("data-state", "online")

        # It has ended, and the page says so; the first one is still well.
        expect(second).to_have_attribute(
            "data-state", re.compile("stale|offline|stopped"), timeout=LIVE_MS
        )
        expect(mine).to_have_attribute("data-state", re.compile("online|warning"))
        assert page.evaluate("window.neverReloaded")

        # The link was for one sign-in.
        other = browser.new_context().new_page()
        answer = other.goto(hub.link)
        assert answer
        assert answer.status == 410
        other.goto(hub.web)
        expect(other).to_have_url(re.compile("/sign-in/"))
        other.context.close()

        # Everything ends, and nothing stays behind.
        assert errors == []
        assert hub.process.stop(within_s=hubs.END_S) == 0
        assert hub.process.family() == []
        page.close()
