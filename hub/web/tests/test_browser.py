"""The pages in a real Chromium, on a hub whose machines only seem to live."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from hub.testing import hubs
from hub.testing.processes import Process, running

pytestmark = [pytest.mark.process, pytest.mark.browser]

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
START_S = 120
# A machine speaks once a second here; a busy test machine gets more.
LIVE_MS = 60_000
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


@dataclass(frozen=True, slots=True)
class Demo:
    process: Process
    link: str

    @property
    def web(self) -> str:
        return self.link.partition("/sign-in")[0]


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[Demo]:
    env = hubs.environment(DATA_DIR=str(folder), LOG_LEVEL="WARNING")
    argv = [sys.executable, "-m", "bench.demo", "--port", "0", "--interval", "1"]
    log = folder / "demo.log"
    with running(*argv, *options, log=log, env=env, cwd=hubs.ROOT) as process:
        found = process.wait_for_line(r"^Sign in: (\S+)$", within_s=START_S)
        yield Demo(process, found[1])


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    options = ("--machines", "12", "--silent", "1", "--minutes", "20")
    with demo(folder, *options) as running_hub:
        yield running_hub


@pytest.fixture(scope="module")
def signed_in(browser: Browser, hub: Demo) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=DESKTOP)
    context.new_page().goto(hub.link)
    yield context
    context.close()


@pytest.fixture
def page(signed_in: BrowserContext, hub: Demo) -> Iterator[Page]:
    """A signed-in page; what a browser would complain about fails the test."""
    page = signed_in.new_page()
    complaints = listen(page)
    yield page
    page.close()
    assert complaints == []


def listen(page: Page) -> list[str]:
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: (
            complaints.append(said.text) if said.type in ("error", "warning") else None
        ),
    )
    return complaints


def accessibility(page: Page) -> list[str]:
    """Return what axe finds against WCAG 2.2 AA and its best practices."""
    page.evaluate(AXE)
    found = page.evaluate(
        """async () => {
            const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa",
                          "best-practice"];
            const {violations} = await axe.run(document, {runOnly: tags});
            return violations.flatMap(({id, nodes}) =>
                nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`));
        }"""
    )
    assert isinstance(found, list)
    return found


def row(page: Page, machine_id: str):  # type: ignore[no-untyped-def]
    return page.locator(f'tr[data-id="{machine_id}"]')


def shown(page: Page) -> list[str]:
    names = page.locator("#rows tr:visible").evaluate_all(
        "rows => rows.map(row => row.dataset.id)"
    )
    assert isinstance(names, list)
    return names


def expect_order(page: Page, wanted: list[str]) -> None:
    ends_s = time.monotonic() + LIVE_MS / 1000
    while (found := shown(page)) != wanted:
        assert time.monotonic() < ends_s, found
        page.wait_for_timeout(50)


def test_the_overview_lives(page: Page, hub: Demo) -> None:
    page.goto(hub.web)
    cpu = row(page, "atlas").locator(".flow")
    before = cpu.inner_text()

    expect(cpu).not_to_have_text(before, timeout=LIVE_MS)
    expect(row(page, "atlas").locator(".spark path")).to_have_attribute(
        "d", re.compile("^M"), timeout=LIVE_MS
    )
    expect(page.locator("#link")).to_be_hidden()
    expect(page.locator("#headline")).to_contain_text("1 needs you")
    [worst, *_] = shown(page)
    expect(row(page, worst)).to_have_attribute("data-state", "offline")
    expect(row(page, worst).locator(".seen")).to_contain_text("min ago")


def test_keys_lead_through_the_overview(page: Page, hub: Demo) -> None:
    page.goto(hub.web)
    expect(row(page, "atlas").locator(".seen")).to_have_text("just now")

    page.keyboard.press("/")
    page.keyboard.type("pi-g")
    assert shown(page) == ["pi-garden"]
    assert page.url.endswith("/?q=pi-g")
    expect(page.locator("#shown")).to_have_text("1 shown")
    page.keyboard.press("Escape")
    assert len(shown(page)) == 12

    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(row(page, shown(page)[0]).locator("a")).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()

    page.keyboard.press("Enter")
    expect(page.locator(".chart").first).to_be_visible(timeout=LIVE_MS)
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page).to_have_url(f"{hub.web}/")


def test_a_tag_narrows_the_overview_and_is_in_the_address(
    page: Page, hub: Demo
) -> None:
    page.goto(f"{hub.web}/?sort=name")
    expect(row(page, "atlas").locator(".seen")).to_have_text("just now")

    page.click('[data-tag="home"]')
    expect(page.locator("#headline")).to_contain_text("7 machines")
    assert page.url.endswith("/?sort=name&tag=home")
    assert {"atlas", "nas"} < set(shown(page))
    assert len(shown(page)) == 7
    page.keyboard.press("/")
    page.keyboard.type("pi-g home")
    assert shown(page) == ["pi-garden"]
    page.keyboard.press("Escape")

    page.go_back()
    expect(page.locator("#headline")).to_contain_text("12 machines")
    expect(page.locator('[data-tag=""]')).to_have_attribute("aria-current", "true")


def test_the_order_is_in_the_address_and_back_undoes_it(page: Page, hub: Demo) -> None:
    page.goto(hub.web)
    head = page.locator("th", has=page.locator('[data-sort="name"]'))
    expect(row(page, "atlas").locator(".seen")).to_have_text("just now")
    worst_first = shown(page)

    # Before its modules are loaded the page is asked for anew, in that order.
    page.click('[data-sort="name"]')
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect_order(page, sorted(worst_first))
    page.click('[data-sort="name"]')
    expect(head).to_have_attribute("aria-sort", "descending")
    expect_order(page, sorted(worst_first, reverse=True))
    assert page.url.endswith("?sort=-name")
    page.reload()
    assert shown(page) == sorted(worst_first, reverse=True)

    page.go_back()
    page.go_back()
    expect(head).not_to_have_attribute("aria-sort", re.compile("."))


# How much of what is in sight has moved by itself; above 0.1 it is felt.
SHIFTS = """new PerformanceObserver((list) => {
    for (const one of list.getEntries())
        if (!one.hadRecentInput) window.moved = (window.moved ?? 0) + one.value;
}).observe({type: "layout-shift", buffered: true});"""


def test_a_machine_page_draws_what_arrives(page: Page, hub: Demo) -> None:
    page.add_init_script(SHIFTS)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{hub.web}/machines/atlas/")
    charts = page.locator(".chart")
    expect(page.locator(".chart canvas").first).to_be_visible(timeout=LIVE_MS)
    names = charts.evaluate_all("charts => charts.map(chart => chart.dataset.chart)")
    assert {
        *("cpu", "cores", "memory", "load", "filesystems", "disks", "network"),
        *("temperature", "swap", "pressure"),
    } <= set(names)

    legend = page.locator('[data-chart="network"] td.current').first
    before = legend.inner_text()
    expect(legend).not_to_have_text(before, timeout=LIVE_MS)
    reading = page.locator(".readings [data-unit='By/s'] span").first
    before = reading.inner_text()
    expect(reading).not_to_have_text(before, timeout=LIVE_MS)
    expect(page.locator("#state")).to_have_text(re.compile("Online|Warning"))
    assert page.evaluate("window.moved ?? 0") < 0.05
    assert sum("/charts/" in url for url in asked) == 1

    tabs = page.locator(".tabs")
    top = tabs.bounding_box()
    page.get_by_role("link", name="Agent", exact=True).click()
    expect(page.locator("#settings-title")).to_be_visible()
    page.wait_for_load_state()
    assert tabs.bounding_box() == top
    page.evaluate("document.getElementById('age').textContent = ''")
    expect(page.locator("#age")).to_have_text("just now")


def test_lines_hide_ranges_change_and_a_drag_zooms(page: Page, hub: Demo) -> None:
    page.goto(f"{hub.web}/machines/atlas/")
    plot = page.locator('[data-chart="load"] .u-over')
    expect(plot).to_be_visible(timeout=LIVE_MS)

    button = page.locator('[data-chart="load"] .legend button', has_text="5 min").first
    button.click()
    assert "hide=load" in page.url
    page.reload()
    expect(button).to_have_attribute("aria-pressed", "false", timeout=LIVE_MS)

    page.locator('[data-range="15m"]').click()
    expect(page.locator('[data-range="15m"]')).to_have_attribute("aria-current", "true")
    assert "range=15m" in page.url
    expect(page.locator("#charts")).to_have_attribute("aria-busy", "false")

    place = plot.bounding_box()
    assert place
    page.mouse.move(place["x"] + 60, place["y"] + 40)
    page.mouse.down()
    page.mouse.move(place["x"] + 160, place["y"] + 40, steps=4)
    page.mouse.up()
    expect(page.locator("#unzoom")).to_be_visible()
    expect(page).to_have_url(re.compile(r"from=\d{13}&to=\d{13}"))
    # What is looked at is in the address, and does not move while it is.
    page.reload()
    expect(page.locator("#unzoom")).to_be_visible()
    expect(plot).to_be_visible()
    plot.dblclick()
    expect(page.locator("#unzoom")).to_be_hidden()
    assert "from=" not in page.url
    page.go_back()
    expect(page.locator("#unzoom")).to_be_visible()
    page.locator('[data-range="1h"]').click()
    expect(page.locator("#unzoom")).to_be_hidden()
    assert "from=" not in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=("desktop", "phone"))
@pytest.mark.parametrize("path", ["/", "/machines/atlas/", "/machines/nope/"])
def test_everybody_can_use_it(
    path: str, size: ViewportSize, scheme: str, signed_in: BrowserContext, hub: Demo
) -> None:
    page = signed_in.new_page()
    page.set_viewport_size(size)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(hub.web + path)
    if "atlas" in path:
        expect(page.locator(".chart").first).to_be_visible(timeout=LIVE_MS)
    if path == "/":
        expect(row(page, "atlas").locator(".seen")).to_have_text("just now")

    assert accessibility(page) == []
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= size["width"]
    page.close()


def test_strangers_are_met_with_a_form_everybody_can_use(
    browser: Browser, hub: Demo
) -> None:
    page = browser.new_page()
    complaints = listen(page)
    page.goto(hub.web)

    expect(page.get_by_label("Password")).to_be_visible()
    assert "manage.py signinlink" in page.inner_text("main")
    assert accessibility(page) == []
    assert complaints == []
    page.close()


def test_a_chosen_theme_stays_everywhere_and_never_flashes(
    page: Page, hub: Demo
) -> None:
    page.goto(hub.web)
    page.click(".menu summary")
    page.click('[data-theme-choice="dark"]')
    page.reload(wait_until="commit")

    background = "getComputedStyle(document.body).backgroundColor"
    page.wait_for_selector("body")
    assert page.evaluate(background) == "rgb(13, 14, 16)"
    page.goto(f"{hub.web}/admin/alerts/rule/")
    assert page.evaluate(background) == "rgb(13, 14, 16)"
    page.set_viewport_size(PHONE)
    assert accessibility(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.get_by_role("link", name="Machines", exact=True).first.click()
    expect(page.locator("#headline")).to_be_visible()
    page.evaluate("localStorage.removeItem('theme')")


def test_the_first_machine_turns_the_lesson_into_the_table(
    browser: Browser, tmp_path: Path
) -> None:
    with demo(tmp_path, "--machines", "2", "--join-after", "6") as hub:
        page = browser.new_page()
        complaints = listen(page)
        page.goto(hub.link)
        expect(page.locator("h1")).to_have_text("No machines yet")
        assert accessibility(page) == []
        page.evaluate("window.neverReloaded = true")

        expect(row(page, "atlas")).to_be_visible(timeout=LIVE_MS)
        expect(row(page, "nas")).to_be_visible(timeout=LIVE_MS)

        expect(page.locator("#headline")).to_contain_text("2 machines")
        expect(row(page, "atlas").locator(".cpu .n")).to_have_text(re.compile(r"\d"))
        assert page.evaluate("window.neverReloaded")
        assert complaints == []

        # It hangs, and the line has not noticed yet: the machines are not blamed.
        shift = "Date.now = ((now) => () => now() + 60_000)(Date.now)"
        os.kill(hub.process.pid, signal.SIGSTOP)
        page.evaluate(shift)
        expect(row(page, "atlas").locator(".seen")).to_have_text("1\u00a0min ago")
        expect(page.locator("#headline")).not_to_contain_text(re.compile("stale|need"))
        page.evaluate(shift.replace("+", "-"))
        os.kill(hub.process.pid, signal.SIGCONT)

        # The hub goes: the page says since when and keeps what it knew.
        hub.process.stop()
        bar = page.locator("#link")
        expect(bar).to_contain_text("Live updates stopped at", timeout=LIVE_MS)
        expect(row(page, "atlas").locator(".cpu .n")).to_have_text(re.compile(r"\d"))
        assert accessibility(page) == []

        # Ten minutes later the machines are not called silent: nobody listened.
        page.evaluate("Date.now = (now => () => now() + 600_000)(Date.now)")
        expect(row(page, "atlas").locator(".seen")).to_have_text("10\u00a0min ago")
        expect(row(page, "atlas")).to_have_attribute(
            "data-state", re.compile("online|warning")
        )
        page.close()
