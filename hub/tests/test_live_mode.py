"""Somebody opens a machine: its charts move each second, its agent answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from hub.testing import hubs
from hub.web.tests.test_browser import accessibility, listen

pytestmark = [pytest.mark.process, pytest.mark.browser]

READY_MS = 60_000
# The agent sends every five seconds by itself, and here for this long.
STEP_S = 5
WATCHED_MS = 12_000

# What the first chart shows, looked at ten times a second: how often it changes.
CHANGES = """async (watchedMs) => {
  const seen = new Set();
  const canvas = document.querySelector("#charts canvas");
  for (let waited = 0; waited < watchedMs; waited += 100) {
    seen.add(canvas.toDataURL());
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return seen.size - 1;
}"""
# Seconds between the points that the hub has stored.
STORED = """async () => {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const buffer = await (await fetch(`${facts.charts}?range=15m`)).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const times = Array.from(new Float64Array(buffer, 4 + length, head.points));
  return times.slice(1).map((time, at) => (time - times[at]) / 1000);
}"""

# An hour of somebody watching: how many points a chart keeps beside those stored, and
# whether a stored one that comes late finds its place.
AN_HOUR = """async () => {
  const {ChartData, GLANCES_S} = await import("/static/js/chart-data.js");
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const answer = await fetch(`${facts.charts}?range=15m`);
  const data = new ChartData(await answer.arrayBuffer());
  const [before, begin] = [data.times.length, data.times.at(-1)];
  for (let second = 1; second <= 3600; second += 1) {
    data.glance((begin + second) * 1000, () => 1);
    if (second % 5 === 0) data.append((begin + second - 1.5) * 1000, () => 2, 5);
  }
  return {
    glances: data.glances.size,
    limit: GLANCES_S,
    stored: data.times.length - data.glances.size - before,
    sorted: data.times.every((time, at) => !at || data.times[at - 1] < time),
    even: data.series.every(({avg, max}) => avg.length === data.times.length
      && max.length === data.times.length),
  };
}"""

SECRET = "hunter2hunter2"


@contextmanager
def odd_process() -> Iterator[str]:
    """A process of this test's own, with a word in its command and a secret."""
    mark = f"odd-{os.getpid()}"
    idle = "import time; time.sleep(120)"
    argv = [sys.executable, "-c", idle, mark, f"--password={SECRET}"]
    with subprocess.Popen(argv) as process:
        try:
            yield mark
        finally:
            process.kill()


def test_a_page_that_is_open_brings_a_sample_each_second(
    tmp_path: Path, browser: Browser
) -> None:
    with hubs.embedded(tmp_path / "var", COLLECTOR_MACHINE_ID="mine") as hub:
        context = browser.new_context()
        page = context.new_page()
        complaints = listen(page)
        page.goto(hub.link)
        page.locator('tr[data-id="mine"] a').first.click()
        expect(page.locator("#charts canvas").first).to_be_visible(timeout=READY_MS)

        expect(page.locator("#live-mark")).to_have_text(
            "live · every 1 s", timeout=READY_MS
        )
        # Without it they would move twice or three times; a busy machine draws less
        # often than a sample comes, at times.
        assert any(page.evaluate(CHANGES, WATCHED_MS) >= 5 for _ in range(6))
        # A second watcher shares it; the steps of what is stored are as they were.
        other = context.new_page()
        other.goto(page.url)
        expect(other.locator("#live-mark")).to_be_visible(timeout=READY_MS)
        expect(page.locator("#live-mark")).to_be_visible()
        steps = page.evaluate(STORED)
        assert steps
        # One that was late may be followed in time.
        assert min(steps) > STEP_S / 2
        other.close()
        hour = page.evaluate(AN_HOUR)
        assert hour.pop("limit") >= hour.pop("glances") - 1
        assert hour == {"stored": 720, "sorted": True, "even": True}

        the_list_has_a_process_of_this_test(page)
        settings_are_applied_while_one_looks(page)
        assert complaints == []
        context.close()


def the_list_has_a_process_of_this_test(page: Page) -> None:
    with odd_process() as mark:
        page.get_by_role("link", name="Processes").click()
        rows = page.locator("table.processes tbody tr")
        expect(rows.first).to_be_visible(timeout=READY_MS)
        assert accessibility(page) == []

        page.keyboard.press("/")
        page.keyboard.type(mark)
        expect(rows).to_have_count(1, timeout=READY_MS)
        expect(rows.first).to_contain_text(mark)
        assert SECRET not in page.content()
        expect(page).to_have_url(re.compile(rf"/processes/mine/\?q={mark}$"))

    # It has ended, and the list says so without a reload.
    expect(page.get_by_text("No process fits")).to_be_visible(timeout=READY_MS)
    page.locator("#filter").fill("")
    page.get_by_role("button", name="Memory").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text(
        "Memory", timeout=READY_MS
    )


def settings_are_applied_while_one_looks(page: Page) -> None:
    page.get_by_role("link", name="Agent", exact=True).click()
    expect(page.locator("#standing")).to_contain_text("Applied.", timeout=READY_MS)
    assert accessibility(page) == []

    page.get_by_label("Interval", exact=True).fill("2")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_text("Saved as revision 1.")).to_be_visible()
    row = page.locator(".effects tr", has_text="Interval").first
    expect(row).to_contain_text("this machine")
    expect(page.locator("#standing")).to_contain_text(
        "the agent reported version 2", timeout=READY_MS
    )
    expect(page.locator("#standing")).to_contain_text("Applied.")
    for question, answer in (
        ("Ping", "There and back"),
        ("Diagnostics", "Running for"),
        ("Connections", "established"),
        ("Collect now", "system.memory.usage"),
    ):
        page.get_by_role("button", name=question, exact=True).click()
        expect(page.locator("#answer")).to_contain_text(answer, timeout=READY_MS)
